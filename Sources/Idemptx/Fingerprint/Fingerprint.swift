#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A digest of what an operation was asked to do, by which a retry is told from a key used for something else.
///
/// Two fingerprints disagree only if they were made by the same recipe and their digests differ, or if they are those of
/// requests with different methods or paths. Otherwise, fingerprints of different recipes cannot be compared and count
/// as agreeing: a new version of this package, or a changed choice of headers, must not turn the live keys of its users
/// into conflicts.
public struct Fingerprint: Hashable, Sendable {
    /// How many bytes of the digest of a request stand for its method and path.
    static let targetSize = 8

    /// How the digest was made; 0 stands for ``none``.
    ///
    /// The highest byte is the version of the rules for HTTP requests, or 0 for what is no request.
    let recipe: UInt32
    let digest: Digest32

    init(recipe: UInt32, digest: Digest32) {
        self.recipe = recipe
        self.digest = digest
    }

    /// No fingerprint: it agrees with every other.
    public static let none = Fingerprint(recipe: 0, digest: .zero)

    /// The fingerprint of `bytes`, taken as they are.
    ///
    /// - Parameter bytes: What the operation depends on.
    public init(ofBytes bytes: [UInt8]) {
        self.init(recipe: Self.plainRecipe, digest: Digest32(hashing: bytes))
    }

    /// The fingerprint of a value's JSON form, in which the order of keys does not count.
    ///
    /// - Parameter value: What the operation depends on.
    /// - Throws: What `JSONEncoder` throws if it cannot encode `value`.
    public init(of value: some Encodable) throws {
        let json = try [UInt8](JSONEncoder().encode(value))
        self.init(ofBytes: CanonicalJSON.canonicalize(json) ?? json)
    }

    private static let plainRecipe: UInt32 = 1

    /// Whether the two were made from different requests, as far as can be told.
    public func disagrees(with other: Fingerprint) -> Bool {
        if self.recipe == other.recipe { return self.recipe != Self.none.recipe && self.digest != other.digest }
        let version = self.recipe >> 24
        return version != 0 && version == other.recipe >> 24 && self.target != other.target
    }

    private var target: ArraySlice<UInt8> { self.digest.bytes.prefix(Self.targetSize) }

    /// The digest as sixty-four lower-case hexadecimal digits.
    public var hexadecimal: String { self.digest.hexadecimal }
}
