#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The claims of a JSON Web Token that name its subject, read without verifying the token.
enum BearerToken {
    struct Claims: Decodable {
        let sub: String
        let iss: String?
    }

    /// The claims of the token in an `Authorization` header value, or `nil` if it holds no JWT with a subject.
    static func claims(ofAuthorization value: String) -> Claims? {
        let words = value.split(separator: " ", omittingEmptySubsequences: true)
        guard words.count == 2, words[0].lowercased() == "bearer" else { return nil }
        let parts = words[1].split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let payload = self.decodeBase64URL(parts[1]) else { return nil }
        return try? JSONDecoder().decode(Claims.self, from: payload)
    }

    /// Decodes base64url without padding (RFC 7515, section 2).
    private static func decodeBase64URL(_ text: Substring) -> Data? {
        var base64 = text.map { character -> Character in
            switch character {
            case "-": "+"
            case "_": "/"
            default: character
            }
        }
        base64.append(contentsOf: repeatElement("=", count: (4 - base64.count % 4) % 4))
        return Data(base64Encoded: String(base64))
    }
}
