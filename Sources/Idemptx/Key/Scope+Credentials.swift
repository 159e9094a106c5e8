public import HTTPTypes

/// Why the scope of a request cannot be told from its credentials.
///
/// The request must not run: under a guess, one caller would get the response of another, or a retry would run twice.
package enum ScopeProblem: String, Error, Hashable, Sendable {
    /// The request has a cookie, and no header by which its caller could be told from others.
    case onlyCookie = "only_cookie"
    /// The `Authorization` of the request is signed anew on each try, so that a retry would be another caller's.
    case signedCredentials = "signed_credentials"
}

extension ScopeProblem: CustomStringConvertible {
    /// What is wrong, and what to set; nothing of the request.
    package var description: String {
        switch self {
        case .onlyCookie:
            """
            The request has a cookie and no credentials that tell its caller from others. Set a scope that does: \
            .principal { … }, .headers([…]), or .anonymous if there are no callers to tell apart.
            """
        case .signedCredentials:
            """
            The Authorization header is signed anew on each try, so that it cannot tell whose key it is. Set a scope \
            that stays the same: .principal { … }, or .headers([…]).
            """
        }
    }
}

extension Scope {
    /// The scope of the credentials of a request.
    ///
    /// - The values of `Authorization`, if there is one;
    /// - else those of `X-API-Key`, `Api-Key` and `Ocp-Apim-Subscription-Key`, if there is one of them;
    /// - else ``anonymous``.
    ///
    /// It refuses what it cannot scope. It is never shared between two credentials, yet it changes when a token is renewed
    /// between two retries: the second one then runs again. Prefer ``principal(_:)`` wherever the caller is known.
    ///
    /// - Parameter fields: The header fields of the request.
    /// - Returns: The scope of these credentials.
    /// - Throws: An error that the layer responds to with `scope-unknown`, if the request has a cookie and none of these
    ///   headers, or an `Authorization` that is signed anew on each try, as by AWS, OAuth 1, Digest and other schemes that
    ///   sign with an HMAC.
    public static func credentials(in fields: HTTPFields) throws -> Scope {
        guard fields.contains(where: { self.credentialHeaders.contains($0.name) }) else { return self.noCredentials }
        let authorization = fields[values: .authorization]
        if authorization.contains(where: self.isSignedAnew) { throw ScopeProblem.signedCredentials }
        if authorization.contains(where: self.isPresent) { return .authorization(in: fields) }

        let present = self.apiKeyHeaders.filter { fields[values: $0].contains(where: self.isPresent) }
        if !present.isEmpty { return .headers(present, in: fields) }

        if fields[values: .cookie].contains(where: self.isPresent) { throw ScopeProblem.onlyCookie }
        return .authorization(in: fields)
    }

    private static let noCredentials = Scope.authorization(in: [:])

    private static let credentialHeaders: Set<HTTPField.Name> = Set([.authorization, .cookie] + apiKeyHeaders)

    private static let apiKeyHeaders = ["X-API-Key", "Api-Key", "Ocp-Apim-Subscription-Key"]
        .compactMap { HTTPField.Name($0) }

    /// An empty header names no caller.
    private static func isPresent(_ value: String) -> Bool {
        !value.utf8.trimmingOptionalWhitespace().isEmpty
    }

    /// Whether an `Authorization` has a scheme whose credentials depend on a time, a nonce, a challenge or the message.
    private static func isSignedAnew(_ value: String) -> Bool {
        let words = value.utf8.split(maxSplits: 1, omittingEmptySubsequences: true) { $0 == 0x20 || $0 == 0x09 }
        // A single word is a token without a scheme.
        guard words.count == 2 else { return false }
        let scheme = Substring(words[0]).uppercased()
        return self.signingSchemes.contains(scheme) || scheme.contains("HMAC")
            || ["AWS4-", "GOOG4-", "SCRAM-"].contains(where: scheme.hasPrefix)
    }

    private static let signingSchemes: Set<String> = [
        "AWS", "OAUTH", "DIGEST", "SIGNATURE", "HAWK", "HOBA", "MUTUAL", "NEGOTIATE", "NTLM", "SHAREDKEY",
        "SHAREDKEYLITE",
    ]
}
