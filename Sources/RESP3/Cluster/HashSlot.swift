/// The sixteen-thousandth part of all keys that a key belongs to.
struct HashSlot: Hashable {
    static let count = 16384

    let number: Int

    /// - Returns: `nil` if there is no slot of this number.
    init?(number: Int) {
        guard 0..<Self.count ~= number else { return nil }
        self.number = number
    }

    init(key: [UInt8]) {
        self.number = Int(Self.checksum(Self.hashedPart(of: key))) % Self.count
    }

    /// The text between the first pair of braces, unless it is empty; otherwise all.
    private static func hashedPart(of key: [UInt8]) -> ArraySlice<UInt8> {
        guard let open = key.firstIndex(of: UInt8(ascii: "{")),
            let close = key[(open + 1)...].firstIndex(of: UInt8(ascii: "}")), close > open + 1
        else { return key[...] }
        return key[(open + 1)..<close]
    }

    /// CRC-16 in the variant of XMODEM.
    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt16 {
        bytes.reduce(0) { sum, byte in sum << 8 ^ self.table[Int(sum >> 8 ^ UInt16(byte))] }
    }

    private static let table: [UInt16] = (0..<256).map { byte in
        (0..<8).reduce(UInt16(byte) << 8) { sum, _ in sum & 0x8000 == 0 ? sum << 1 : sum << 1 ^ 0x1021 }
    }
}
