/// Sixteen random bytes that tell one attempt from every other.
///
/// A record holds the token of its owner. Whoever renews, completes or releases presents it; a store compares.
public struct OwnerToken: Hashable, Sendable {
    /// The size of a token, in bytes.
    public static let byteCount = 16

    /// The bytes of the token.
    public let bytes: [UInt8]

    /// Creates a token that no other attempt has.
    public init() {
        var generator = SystemRandomNumberGenerator()
        var bytes: [UInt8] = []
        bytes.append(bigEndian: generator.next() as UInt64)
        bytes.append(bigEndian: generator.next() as UInt64)
        self.bytes = bytes
    }

    /// Reads a token back from ``bytes``.
    ///
    /// - Parameter bytes: Exactly ``byteCount`` bytes.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = Array(bytes)
    }
}
