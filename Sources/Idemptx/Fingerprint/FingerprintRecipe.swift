public import HTTPTypes

/// What of an HTTP request enters its fingerprint, and in which form.
///
/// Always: the method, the path and query as sent, the media type, and the body. On request: further headers. Never all
/// of them, because a changed `User-Agent` or `traceparent` does not make another payment.
public struct FingerprintRecipe: Hashable, Sendable {
    /// How two bodies are compared.
    public enum BodyComparison: UInt8, Sendable {
        /// JSON, forms and multipart bodies by what they say, every other body byte for byte.
        ///
        /// - JSON: the order of an object's members, white space, and the escapes in strings do not count. Number
        ///   literals count verbatim (`1.0` is not `1`). A text with duplicate names, invalid UTF-8, or more than 128
        ///   levels of nesting is compared byte for byte.
        /// - `application/x-www-form-urlencoded`: the order of different names does not count.
        /// - `multipart/*`: the parts, in order; not the boundary, which a browser chooses anew on each try.
        case structure
        /// Every body byte for byte.
        case bytes
    }

    /// The version of the rules in this file and the ones it calls.
    ///
    /// A change to any of them needs the next number.
    private static let version: UInt8 = 1

    /// The headers that count, apart from `Content-Type`, in the order in which they are hashed.
    public let headers: [HTTPField.Name]

    /// How two bodies are compared.
    public let body: BodyComparison

    /// Tells fingerprints of this recipe from those of another: the version, then 24 bits that stand for the choices.
    let identifier: UInt32

    /// Creates a recipe.
    ///
    /// - Parameters:
    ///   - headers: The headers that count, apart from `Content-Type`. Their order and case do not matter.
    ///   - body: How two bodies are compared.
    public init(headers: [HTTPField.Name] = [], body: BodyComparison = .structure) {
        self.headers = Set(headers).sorted { $0.canonicalName < $1.canonicalName }
        self.body = body
        var choices: [UInt8] = [body.rawValue]
        for name in self.headers {
            choices.append(lengthPrefixed: name.canonicalName.utf8)
        }
        self.identifier = Digest32(hashing: choices).bytes.prefix(3).reduce(UInt32(Self.version)) {
            $0 << 8 | UInt32($1)
        }
    }
}
