/// A value inside of a text that ``CanonicalJSON`` has written: well-formed, without white space, strings with the
/// fewest escapes.
struct CanonicalJSONValue {
    private let text: ArraySlice<UInt8>

    /// - Parameter text: All of a value, and nothing else.
    init(_ text: ArraySlice<UInt8>) {
        self.text = text
    }

    /// A string, without its escapes.
    var string: String? {
        guard self.text.first == UInt8(ascii: "\"") else { return nil }
        var unescaped: [UInt8] = []
        var rest = self.text.dropFirst().dropLast()
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\"), let escape = rest.popFirst() else {
                unescaped.append(byte)
                continue
            }
            guard escape == UInt8(ascii: "u") else {
                unescaped.append(escape)
                continue
            }
            // Only control characters are written like this.
            unescaped.append(UInt8(String(decoding: rest.prefix(4), as: UTF8.self), radix: 16) ?? 0)
            rest = rest.dropFirst(4)
        }
        return String(decoding: unescaped, as: UTF8.self)
    }

    /// The literal of an integer.
    var integer: String? {
        let digits = self.text.first == UInt8(ascii: "-") ? self.text.dropFirst() : self.text
        let isInteger = digits.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return isInteger ? String(decoding: self.text, as: UTF8.self) : nil
    }
}
