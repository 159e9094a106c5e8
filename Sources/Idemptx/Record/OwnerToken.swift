/// Sixteen random bytes that tell one attempt from every other.
///
/// A record holds the token of its owner. A renewal, completion or release presents it, and the store compares.
package struct OwnerToken: Hashable, Sendable {
    /// The size of a token, in bytes.
    package static let byteCount = 16

    private let first: UInt64
    private let second: UInt64

    /// Creates a token that no other attempt has.
    package init() {
        var generator = SystemRandomNumberGenerator()
        self.first = generator.next()
        self.second = generator.next()
    }

    /// Reads a token back from ``bytes``.
    ///
    /// - Parameter bytes: Exactly ``byteCount`` bytes.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self.first = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        self.second = bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The bytes of the token.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        self.append(to: &bytes)
        return bytes
    }

    func append(to bytes: inout [UInt8]) {
        bytes.append(bigEndian: self.first)
        bytes.append(bigEndian: self.second)
    }
}
