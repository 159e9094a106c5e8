public import HTTPTypes

/// Whose key it is: two callers who choose the same key have different records.
///
/// A scope enters the ``StorageKey`` only as part of a digest, and its descriptions never show it.
public struct Scope: Hashable, Sendable {
    /// Raw values and parts enter the names of stored records: neither may change.
    private enum Kind: UInt8 {
        case unscoped
        case principal
        case subject
        case headers
        case operation
    }

    private let kind: Kind
    private let parts: [String]

    /// One scope for every caller.
    ///
    /// Right where the caller does not choose the key, such as a job that names its own operations. On a public endpoint
    /// it lets one client fetch another's response by guessing its key.
    public static let unscoped = Scope(kind: .unscoped, parts: [])

    /// The scope that all callers without credentials share.
    ///
    /// Right for a program that has no callers to tell apart: there it can be the scope of every request.
    public static let anonymous = Scope.headers([.authorization], in: [:])

    /// The scope of an authenticated caller.
    ///
    /// - Parameter id: What identifies the caller for good, such as an account number. It must not change between two
    ///   retries.
    /// - Returns: A scope that only the same `id` yields.
    public static func principal(_ id: String) -> Scope {
        Scope(kind: .principal, parts: [id])
    }

    /// The scope of one of the program's own operations, such as that of a job.
    ///
    /// Two operations may use the same key. No request can yield a scope of this kind, so that no client can name the key
    /// of a job.
    ///
    /// - Parameters:
    ///   - name: The name of the operation, such as `charge`. It must not change between two retries.
    ///   - caller: On whose behalf it runs, where its key comes from outside.
    /// - Returns: A scope that only the same `name` and `caller` yield.
    package static func operation(_ name: String, for caller: Scope = .unscoped) -> Scope {
        Scope(kind: .operation, parts: [name, "\(caller.kind.rawValue)"] + caller.parts)
    }

    /// The scope of the `Authorization` header of a request, whatever its scheme.
    ///
    /// Never shared between two credentials, yet it changes when a token is renewed between two retries: the second one
    /// then runs again. Requests without the header share one scope, ``anonymous``. ``credentials(in:)`` knows more
    /// headers, and refuses requests that it cannot scope.
    ///
    /// - Parameter fields: The header fields of the request.
    /// - Returns: The scope of these credentials.
    package static func authorization(in fields: HTTPFields) -> Scope {
        self.headers([.authorization], in: fields)
    }

    /// The scope of the values of some headers, such as an API key and a tenant.
    ///
    /// A value that changes between two retries makes the second one run again. Requests without any of the headers
    /// share one scope.
    ///
    /// - Parameters:
    ///   - names: The headers that count, in any order. Without a name, all callers are in one scope.
    ///   - fields: The header fields of the request.
    /// - Returns: The scope of all values of these headers, in the order of the request.
    public static func headers(_ names: [HTTPField.Name], in fields: HTTPFields) -> Scope {
        guard !names.isEmpty else { return .unscoped }
        let parts = HTTPField.Name.canonicalOrder(names).flatMap { name in
            let values = fields[values: name]
            return [name.canonicalName, "\(values.count)"] + values
        }
        return Scope(kind: .headers, parts: parts)
    }

    /// The scope of the issuer and subject that a bearer token names (RFC 7519, sections 4.1.1 and 4.1.2).
    ///
    /// The token is **not verified** here: use it only behind a middleware that has done so. It survives the renewal of
    /// a token. A request without such a token is scoped as by ``credentials(in:)``.
    ///
    /// - Parameter fields: The header fields of the request.
    /// - Returns: The scope of the token's subject.
    /// - Throws: What ``credentials(in:)`` throws if the request has no such token.
    public static func jwtSubject(in fields: HTTPFields) throws -> Scope {
        let lines = fields[values: .authorization]
        guard lines.count == 1, let claims = BearerToken.claims(ofAuthorization: lines[0]) else {
            return try self.credentials(in: fields)
        }
        return Scope(kind: .subject, parts: [claims.sub] + [claims.iss].compactMap(\.self))
    }

    func append(to message: inout [UInt8]) {
        message.append(self.kind.rawValue)
        message.append(bigEndian: UInt64(self.parts.count))
        for part in self.parts {
            message.append(lengthPrefixed: part.utf8)
        }
    }
}

extension HTTPField.Name {
    /// Each of `names` once, in an order that does not depend on theirs.
    static func canonicalOrder(_ names: [HTTPField.Name]) -> [HTTPField.Name] {
        names.count < 2 ? names : Set(names).sorted { $0.canonicalName < $1.canonicalName }
    }
}

extension Scope: CustomStringConvertible {
    /// The kind of the scope; the identity is left out.
    public var description: String { "Scope(\(self.kind))" }
}
