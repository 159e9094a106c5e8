extension [UInt8] {
    /// Appends the bytes of `integer`, the most significant one first.
    mutating func append<Integer: FixedWidthInteger & UnsignedInteger>(bigEndian integer: Integer) {
        for shift in stride(from: Integer.bitWidth - 8, through: 0, by: -8) {
            self.append(UInt8(truncatingIfNeeded: integer >> Integer(shift)))
        }
    }

    /// Appends the length of `field` in eight bytes, then its bytes.
    ///
    /// Fields written this way cannot run into each other: ("ab", "c") and ("a", "bc") differ.
    mutating func append(lengthPrefixed field: some Collection<UInt8>) {
        self.append(bigEndian: UInt64(field.count))
        self.append(contentsOf: field)
    }

    /// The bytes as lower-case hexadecimal digits.
    var hexadecimal: String {
        var digits: [UInt8] = []
        digits.reserveCapacity(2 * self.count)
        for byte in self {
            digits.append(Self.digit(byte >> 4))
            digits.append(Self.digit(byte & 0xF))
        }
        return String(decoding: digits, as: UTF8.self)
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }

    /// Reads pairs of hexadecimal digits; `nil` if `text` is anything else.
    init?(hexadecimal text: String) {
        let digits = text.utf8.map { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count.isMultiple(of: 2), !digits.contains(nil) else { return nil }
        let values = digits.compactMap(\.self)
        self = stride(from: 0, to: values.count, by: 2).map { UInt8(values[$0] << 4 | values[$0 + 1]) }
    }
}

extension BidirectionalCollection<UInt8> {
    /// The bytes without the spaces and tabs at their ends (RFC 9110, section 5.6.3).
    package func trimmingOptionalWhitespace() -> SubSequence {
        func isWhitespace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        var trimmed = self.drop(while: isWhitespace)
        while let last = trimmed.last, isWhitespace(last) { trimmed = trimmed.dropLast() }
        return trimmed
    }
}

extension UInt8 {
    /// Whether the character can stand in a token (RFC 9110, section 5.6.2).
    package var isTokenCharacter: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(self)
        }
    }
}
