/// A value inside of a text that ``CanonicalJSON`` has written: well-formed, without white space, strings with the
/// fewest escapes.
struct CanonicalJSONValue {
    private let text: ArraySlice<UInt8>

    /// - Parameter text: All of a value, and nothing else.
    init(_ text: ArraySlice<UInt8>) {
        self.text = text
    }

    /// The value that a pointer leads to; `nil` if there is none (RFC 6901, section 4).
    subscript(pointer: JSONPointer) -> CanonicalJSONValue? {
        var value = self
        for token in pointer.tokens {
            guard let next = value[token] else { return nil }
            value = next
        }
        return value
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

    private subscript(token: String) -> CanonicalJSONValue? {
        switch self.text.first {
        case UInt8(ascii: "{"): self.member(named: token)
        case UInt8(ascii: "["): Self.index(token).flatMap(self.element)
        default: nil
        }
    }

    private func member(named name: String) -> CanonicalJSONValue? {
        var rest = self.text.dropFirst()
        while rest.first == UInt8(ascii: "\"") {
            let member = CanonicalJSONValue(rest.removeFirstValue())
            rest = rest.dropFirst()  // The colon.
            let value = rest.removeFirstValue()
            if member.string?.utf8.elementsEqual(name.utf8) ?? false { return CanonicalJSONValue(value) }
            rest = rest.dropFirst()  // A comma, or the closing brace.
        }
        return nil
    }

    private func element(at index: Int) -> CanonicalJSONValue? {
        var rest = self.text.dropFirst()
        var position = 0
        while let byte = rest.first, byte != UInt8(ascii: "]") {
            let value = rest.removeFirstValue()
            if position == index { return CanonicalJSONValue(value) }
            position += 1
            rest = rest.dropFirst()  // A comma, or the closing bracket.
        }
        return nil
    }

    /// An index without a sign and without leading zeros.
    private static func index(_ token: String) -> Int? {
        guard token.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        guard token == "0" || token.utf8.first != UInt8(ascii: "0") else { return nil }
        return Int(token)
    }
}

extension ArraySlice<UInt8> {
    /// Removes the value at the start of the text.
    fileprivate mutating func removeFirstValue() -> ArraySlice<UInt8> {
        var depth = 0
        var end = self.startIndex
        repeat {
            switch self[end] {
            case UInt8(ascii: "\""): end = self.endOfString(from: end)
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                end += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                end += 1
            case UInt8(ascii: ","), UInt8(ascii: ":"): end += 1
            default: end = self.endOfScalar(from: end)
            }
        } while depth > 0
        defer { self = self[end...] }
        return self[..<end]
    }

    private func endOfString(from start: Int) -> Int {
        var end = start + 1
        while self[end] != UInt8(ascii: "\"") {
            end += self[end] == UInt8(ascii: "\\") ? 2 : 1
        }
        return end + 1
    }

    private func endOfScalar(from start: Int) -> Int {
        self[start...].firstIndex { ",]}".utf8.contains($0) } ?? self.endIndex
    }
}
