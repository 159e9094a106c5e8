import Crypto

extension SHA256 {
    /// Takes the next bytes of a message; the way by regions of any data costs more than hashing a short message.
    mutating func update(bytes: ArraySlice<UInt8>) {
        // The pointer is not used after the call.
        unsafe bytes.withUnsafeBytes { unsafe self.update(bufferPointer: $0) }
    }
}

/// Thirty-two bytes, such as a SHA-256 digest, kept inline so that a key costs no allocation.
struct Digest32: Hashable, Sendable {
    static let byteCount = 32

    /// Eight bytes each, the most significant one first.
    let words: (UInt64, UInt64, UInt64, UInt64)

    /// The SHA-256 digest of `message` (FIPS 180-4).
    init(hashing message: [UInt8]) {
        var hasher = SHA256()
        hasher.update(bytes: message[...])
        self.init(hasher.finalize())
    }

    init(_ digest: SHA256.Digest) {
        self.words = unsafe digest.withUnsafeBytes { bytes in
            // The digest offers no safe way that needs no array. Any eight bytes are a number, and the offsets are checked.
            func word(_ index: Int) -> UInt64 {
                unsafe UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
            }
            return (word(0), word(1), word(2), word(3))
        }
    }

    init(words: (UInt64, UInt64, UInt64, UInt64)) {
        self.words = words
    }

    /// Takes the bytes over as they are; `nil` unless there are thirty-two.
    init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self.init(sequence: bytes)
    }

    static let zero = Digest32(words: (0, 0, 0, 0))

    private init(sequence bytes: some Sequence<UInt8>) {
        var iterator = bytes.makeIterator()
        func word() -> UInt64 {
            var word: UInt64 = 0
            for _ in 0..<8 { word = word << 8 | UInt64(iterator.next() ?? 0) }
            return word
        }
        self.words = (word(), word(), word(), word())
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        bytes.append(bigEndian: self.words.0)
        bytes.append(bigEndian: self.words.1)
        bytes.append(bigEndian: self.words.2)
        bytes.append(bigEndian: self.words.3)
        return bytes
    }

    /// Sixty-four lower-case hexadecimal digits.
    var hexadecimal: String { self.bytes.hexadecimal }

    static func == (lhs: Digest32, rhs: Digest32) -> Bool { lhs.words == rhs.words }

    func hash(into hasher: inout Hasher) {
        hasher.combine(self.words.0)
        hasher.combine(self.words.1)
        hasher.combine(self.words.2)
        hasher.combine(self.words.3)
    }
}
