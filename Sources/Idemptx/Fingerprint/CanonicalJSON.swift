/// Rewrites JSON texts (RFC 8259) so that two texts of the same structure become the same bytes.
///
/// Members are sorted by name, white space is dropped, and strings are written with the fewest escapes. Number literals
/// stay as they are, since rounding one would make two amounts equal.
package enum CanonicalJSON {
    static let maximumDepth = 128

    /// What one pass over a text finds.
    struct Reading {
        /// The canonical form, without the members that are left out.
        let text: ArraySlice<UInt8>
        /// The value at the place that ``JSONPointerTree`` marks as the key's.
        let key: CanonicalJSONValue?
    }

    /// The canonical form of `text`.
    ///
    /// - Returns: `nil` if `text` is not JSON in UTF-8, has a duplicate name, or nests deeper than ``maximumDepth``.
    package static func canonicalize(_ text: [UInt8]) -> [UInt8]? {
        self.read(text).map { Array($0.text) }
    }

    /// The canonical form of `text`, and what stands in marked places.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - places: The places of values to leave out, and of the key.
    /// - Returns: `nil` if `text` is not JSON in UTF-8, has a duplicate name, or nests deeper than ``maximumDepth``.
    static func read(_ text: [UInt8], places: JSONPointerTree = JSONPointerTree()) -> Reading? {
        // Positions are kept in 32 bits.
        guard text.count <= Int32.max else { return nil }
        var scanner = CanonicalJSONScanner(input: text, places: places)
        guard let root = try? scanner.scan() else { return nil }
        let key = scanner.keyRange
        let writer = CanonicalJSONWriter(consume scanner)
        return Reading(text: writer.text(of: root), key: key.map { CanonicalJSONValue(writer.text(of: $0)) })
    }
}

extension Range<Int32> {
    /// The range as one of indices of an array.
    var indices: Range<Int> { Int(self.lowerBound)..<Int(self.upperBound) }
}

extension [UInt8] {
    /// Appends a character of a string with the fewest escapes.
    mutating func append(canonical scalar: Unicode.Scalar) {
        switch scalar {
        case "\"", "\\":
            self.append(UInt8(ascii: "\\"))
            self.append(UInt8(ascii: scalar))
        case "\u{0}"..<" ":
            self.append(contentsOf: "\\u00".utf8)
            self.append(contentsOf: [UInt8(ascii: scalar)].hexadecimal.utf8)
        default:
            self.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        }
    }
}
