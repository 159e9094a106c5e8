public import HTTPTypes

/// What of an HTTP request enters its fingerprint, and in which form.
///
/// Always: the method, the path and query as sent, the media type, and the body. Unless you say otherwise: the host. On
/// request: further headers. Never all of them, because a changed `User-Agent` or `traceparent` does not make another
/// payment.
public struct FingerprintRecipe: Hashable, Sendable {
    /// The version of the rules in this file and the ones it calls.
    ///
    /// A change to any of them needs the next number. The second version differs from the first in that the host counts:
    /// without it, the rules are those of the first.
    private static let version: UInt8 = 2
    private static let versionWithoutHost: UInt8 = 1

    /// What counts unless you say otherwise.
    package static let standard = FingerprintRecipe()

    /// The headers that count, apart from `Content-Type`, in the order in which they are hashed.
    package let headers: [HTTPField.Name]

    /// Whether two bodies are compared by what they say, where that is known, rather than byte for byte.
    package let comparesStructure: Bool

    /// Whether the host counts: its name without regard to case, without its port.
    ///
    /// Without it, one tenant gets the response of another where the host alone tells them apart. Turn it off for clients
    /// that retry on another host.
    package let fingerprintHost: Bool

    /// The members of JSON bodies that do not count, such as the time of sending.
    ///
    /// An element of an array cannot be left out, but a member of one can.
    package let ignoredMembers: [JSONPointer]

    /// Where the ignored members are.
    let ignoredPlaces: JSONPointerTree

    /// Tells fingerprints of this recipe from those of another: the version, then 24 bits that stand for the choices
    /// that both versions know.
    let identifier: UInt32

    /// Creates a recipe.
    ///
    /// - Parameters:
    ///   - headers: The headers that count, apart from `Content-Type`. Their order and case do not matter.
    ///   - comparesStructure: Whether JSON, forms and multipart bodies are compared by what they say, and only others byte for byte.
    ///     Of JSON the order of an object's members, white space, and the escapes in strings do not count; number literals
    ///     count verbatim (`1.0` is not `1`). A text with duplicate names, invalid UTF-8, or more than 128 levels of nesting is
    ///     compared byte for byte. Of `application/x-www-form-urlencoded` the order of different names does not count. Of
    ///     `multipart/*` the parts count, in order; not the boundary, which a browser chooses anew on each try.
    ///   - fingerprintHost: Whether the host counts.
    ///   - ignoredMembers: The members of JSON bodies that do not count. Their order does not matter.
    public init(
        headers: [HTTPField.Name] = [],
        comparesStructure: Bool = true,
        fingerprintHost: Bool = true,
        ignoredMembers: [JSONPointer] = []
    ) {
        self.headers = HTTPField.Name.canonicalOrder(headers)
        self.comparesStructure = comparesStructure
        self.fingerprintHost = fingerprintHost
        self.ignoredMembers = Set(ignoredMembers).sorted { $0.description < $1.description }
        self.ignoredPlaces = JSONPointerTree(ignored: self.ignoredMembers)
        var choices: [UInt8] = [comparesStructure ? 0 : 1]
        for name in self.headers {
            choices.append(lengthPrefixed: name.canonicalName.utf8)
        }
        if !self.ignoredMembers.isEmpty {
            // No header is that long.
            choices.append(bigEndian: UInt64.max)
            for pointer in self.ignoredMembers { choices.append(lengthPrefixed: pointer.description.utf8) }
        }
        let version = fingerprintHost ? Self.version : Self.versionWithoutHost
        self.identifier = Digest32(hashing: choices).bytes.prefix(3).reduce(UInt32(version)) { $0 << 8 | UInt32($1) }
    }
}
