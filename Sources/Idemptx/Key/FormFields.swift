/// The fields of a URL-encoded form or query, in their order, undecoded.
///
/// A field is found by walking over the text: how many there are costs no memory.
struct FormFields: Sequence, IteratorProtocol {
    struct Field {
        let name: ArraySlice<UInt8>
        let value: ArraySlice<UInt8>
    }

    private var rest: ArraySlice<UInt8>

    init(_ text: ArraySlice<UInt8>) {
        self.rest = text
    }

    /// Empty fields, as in `a=1&&b=2`, do not count.
    mutating func next() -> Field? {
        while !self.rest.isEmpty {
            let end = self.rest.firstIndex(of: UInt8(ascii: "&")) ?? self.rest.endIndex
            let field = self.rest[..<end]
            self.rest = self.rest[end...].dropFirst()
            guard !field.isEmpty else { continue }
            let equals = field.firstIndex(of: UInt8(ascii: "=")) ?? field.endIndex
            return Field(name: field[..<equals], value: field[equals...].dropFirst())
        }
        return nil
    }

    /// The decoded value of the only field with a name.
    ///
    /// - Parameters:
    ///   - name: The name, decoded.
    ///   - text: The form.
    /// - Returns: The value; `nil` if there is no such field.
    /// - Throws: `malformed` if the form cannot be decoded, `repeated` if there are several such fields.
    static func onlyValue(
        of name: String,
        in text: ArraySlice<UInt8>
    ) throws(IdempotencyKey.ValidationError) -> String? {
        var found: String?
        for field in FormFields(text) {
            var (decodedName, value): ([UInt8], [UInt8]) = ([], [])
            guard decodedName.append(formDecoded: field.name), value.append(formDecoded: field.value) else {
                throw .malformed
            }
            guard decodedName.elementsEqual(name.utf8) else { continue }
            guard found == nil else { throw .repeated }
            found = String(decoding: value, as: UTF8.self)
        }
        return found
    }
}

extension [UInt8] {
    /// Appends `text` with its percent-encoding undone, and plus signs as blanks.
    ///
    /// - Returns: Whether every percent sign is followed by two hexadecimal digits.
    mutating func append(formDecoded text: ArraySlice<UInt8>) -> Bool {
        var rest = text
        while let special = rest.firstIndex(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }) {
            self.append(contentsOf: rest[..<special])
            rest = rest[special...]
            if rest.popFirst() == UInt8(ascii: "+") {
                self.append(UInt8(ascii: " "))
                continue
            }
            guard let high = rest.popFirst()?.hexDigitValue, let low = rest.popFirst()?.hexDigitValue else {
                return false
            }
            self.append(high << 4 | low)
        }
        self.append(contentsOf: rest)
        return true
    }
}

extension UInt8 {
    /// What an ASCII character is worth as a hexadecimal digit of either case.
    var hexDigitValue: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
