/// Rewrites URL-encoded forms so that two forms with the same fields become the same bytes.
///
/// Fields are decoded and sorted by name. Fields of the same name keep their order, which may mean something.
enum CanonicalForm {
    /// A field in the decoded form.
    private struct Field {
        let name: Range<Int>
        let value: Range<Int>
    }

    /// Each field takes more memory than its bytes.
    static let maximumFieldCount = 10_000

    /// The canonical form of `text`, or `nil` if a percent sign is not followed by two hexadecimal digits, or there are
    /// too many fields.
    static func canonicalize(_ text: [UInt8]) -> [UInt8]? {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(text.count)
        var fields: [Field] = []
        for field in FormFields(text[...]) {
            guard fields.count < self.maximumFieldCount else { return nil }
            let start = decoded.count
            guard decoded.append(formDecoded: field.name) else { return nil }
            let middle = decoded.count
            guard decoded.append(formDecoded: field.value) else { return nil }
            fields.append(Field(name: start..<middle, value: middle..<decoded.count))
        }
        // Where the names are equal, the place in the text decides.
        fields.sort { lhs, rhs in
            let (left, right) = (decoded[lhs.name], decoded[rhs.name])
            return left.lexicographicallyPrecedes(right)
                || lhs.name.lowerBound < rhs.name.lowerBound && left.elementsEqual(right)
        }
        return fields.reduce(into: []) { output, field in
            output.append(lengthPrefixed: decoded[field.name])
            output.append(lengthPrefixed: decoded[field.value])
        }
    }
}
