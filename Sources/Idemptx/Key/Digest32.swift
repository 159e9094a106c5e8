import Crypto

/// Thirty-two bytes, such as a SHA-256 digest, kept inline so that a key costs no allocation.
struct Digest32: Hashable, Sendable {
    static let byteCount = 32

    private var first: UInt64 = 0
    private var second: UInt64 = 0
    private var third: UInt64 = 0
    private var fourth: UInt64 = 0

    /// The SHA-256 digest of `message` (FIPS 180-4).
    init(hashing message: [UInt8]) {
        self.init(SHA256.hash(data: message))
    }

    init(_ digest: SHA256.Digest) {
        self.fill(from: digest)
    }

    /// Takes the bytes over as they are; `nil` unless there are thirty-two.
    init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self.fill(from: bytes)
    }

    static let zero = Digest32()

    private init() {}

    private mutating func fill(from bytes: some Sequence<UInt8>) {
        var iterator = bytes.makeIterator()
        func word() -> UInt64 {
            var word: UInt64 = 0
            for _ in 0..<8 { word = word << 8 | UInt64(iterator.next() ?? 0) }
            return word
        }
        self.first = word()
        self.second = word()
        self.third = word()
        self.fourth = word()
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        for word in [self.first, self.second, self.third, self.fourth] {
            bytes.append(bigEndian: word)
        }
        return bytes
    }

    /// Sixty-four lower-case hexadecimal digits.
    var hexadecimal: String { self.bytes.hexadecimal }
}
