#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A digest of what an operation was asked to do, by which a retry is told from a key used for something else.
///
/// Two fingerprints made by the same recipe disagree if their digests differ. Two made by different recipes are compared
/// by what both know: method and path, and, if they differ in the host alone, all but the host. What only one of them
/// knows counts as agreeing: a new version of this package, or a changed choice of headers, must not turn the live keys of
/// its users into conflicts.
public struct Fingerprint: Hashable, Sendable {
    /// How the digest was made; 0 stands for `none`.
    ///
    /// The highest byte is the version of the rules for HTTP requests, or 0 for anything but a request; the others stand for
    /// the choices of a ``FingerprintRecipe``, the host aside.
    package let recipe: UInt32
    /// The digest; that of a request has four words.
    ///
    /// 1. stands for its method and path;
    /// 2. and 3. for these, its media type, chosen headers and body;
    /// 4. for the host if that counts, else for the same as the second and the third.
    let digest: Digest32

    init(recipe: UInt32, digest: Digest32) {
        self.recipe = recipe
        self.digest = digest
    }

    /// No fingerprint: it agrees with every other.
    package static let none = Fingerprint(recipe: 0, digest: .zero)

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
    package func disagrees(with other: Fingerprint) -> Bool {
        if self.recipe == other.recipe { return self.recipe != Self.none.recipe && self.digest != other.digest }
        guard self.isOfRequest, other.isOfRequest else { return false }
        let (words, others) = (self.digest.words, other.digest.words)
        if words.0 != others.0 { return true }
        return self.choices == other.choices && (words.1, words.2) != (others.1, others.2)
    }

    private var isOfRequest: Bool { self.recipe >> 24 != 0 }
    private var choices: UInt32 { self.recipe & 0xFF_FFFF }

    /// Reads a fingerprint back from its parts.
    ///
    /// - Parameters:
    ///   - recipe: How the digest was made.
    ///   - digestBytes: Exactly thirty-two bytes.
    package init?(recipe: UInt32, digestBytes: [UInt8]) {
        guard let digest = Digest32(digestBytes) else { return nil }
        self.init(recipe: recipe, digest: digest)
    }

    /// The thirty-two bytes of the digest.
    package var digestBytes: [UInt8] { self.digest.bytes }

    /// The digest as sixty-four lower-case hexadecimal digits.
    package var hexadecimal: String { self.digest.hexadecimal }
}
