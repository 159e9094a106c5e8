/// Rewrites URL-encoded forms so that two forms with the same fields become the same bytes.
///
/// Fields are decoded and sorted by name. Fields of the same name keep their order, which may mean something.
enum CanonicalForm {
    private struct Field {
        let name: [UInt8]
        let value: [UInt8]
    }

    /// Each field takes far more memory than its bytes.
    static let maximumFieldCount = 10_000

    /// The canonical form of `text`, or `nil` if a percent sign is not followed by two hexadecimal digits, or there are
    /// too many fields.
    static func canonicalize(_ text: [UInt8]) -> [UInt8]? {
        let pairs = text.split(separator: UInt8(ascii: "&"), maxSplits: self.maximumFieldCount)
        guard pairs.count <= self.maximumFieldCount else { return nil }
        var fields: [Field] = []
        for pair in pairs {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = self.decode(parts[0]), let value = self.decode(parts.count > 1 ? parts[1] : []) else {
                return nil
            }
            fields.append(Field(name: name, value: value))
        }
        let sorted = fields.enumerated().sorted { lhs, rhs in
            if lhs.element.name == rhs.element.name { return lhs.offset < rhs.offset }
            return lhs.element.name.lexicographicallyPrecedes(rhs.element.name)
        }
        return sorted.reduce(into: []) { output, field in
            output.append(lengthPrefixed: field.element.name)
            output.append(lengthPrefixed: field.element.value)
        }
    }

    private static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(text.count)
        var rest = text
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): decoded.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let high = self.hexDigit(rest.popFirst()), let low = self.hexDigit(rest.popFirst()) else {
                    return nil
                }
                decoded.append(high << 4 | low)
            default: decoded.append(byte)
            }
        }
        return decoded
    }

    private static func hexDigit(_ byte: UInt8?) -> UInt8? {
        byte.flatMap { Character(Unicode.Scalar($0)).hexDigitValue }.map(UInt8.init)
    }
}
