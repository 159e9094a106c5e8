/// The `%41` way of writing bytes in a URL.
enum PercentEncoding {
    /// Decodes a part of a URL, which is named if it is wrong.
    static func decode(_ text: Substring, of part: String) throws(InvalidRedisURL) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let decoded = Self.byte(&rest) else {
                throw InvalidRedisURL("The \(part) of the Redis URL has a lone %; write it as %25.")
            }
            bytes.append(decoded)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw InvalidRedisURL("The \(part) of the Redis URL is not UTF-8.")
        }
        return decoded
    }

    private static func byte(_ rest: inout Substring.UTF8View.SubSequence) -> UInt8? {
        guard let high = rest.popFirst().flatMap(Self.digit), let low = rest.popFirst().flatMap(Self.digit) else {
            return nil
        }
        return high << 4 | low
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        Character(Unicode.Scalar(byte)).hexDigitValue.map { UInt8($0) }
    }
}
