/// Rewrites multipart bodies (RFC 2046, section 5.1.1) so that two bodies with the same parts become the same bytes.
///
/// The parts keep their order. Neither the boundary counts, nor what stands before the first or after the last of them.
enum CanonicalMultipart {
    /// RFC 2046 permits no longer boundary.
    private static let maximumBoundaryLength = 70
    private static let lineBreak = Array("\r\n".utf8)
    private static let closingMark = Array("--".utf8)

    /// The canonical form of `body`, or `nil` if it is not multipart with this boundary.
    static func canonicalize(_ body: [UInt8], boundary: String?) -> [UInt8]? {
        guard let boundary, !boundary.isEmpty, boundary.utf8.count <= self.maximumBoundaryLength else { return nil }
        // A delimiter starts with a line break, which may be missing before the first part.
        let delimiter = self.lineBreak + self.closingMark + Array(boundary.utf8)
        var rest = (self.lineBreak + body)[...]
        guard rest.removePrefix(through: delimiter) != nil else { return nil }

        var output: [UInt8] = []
        while !rest.starts(with: self.closingMark) {
            guard
                let padding = rest.removePrefix(through: self.lineBreak),
                padding.trimmingOptionalWhitespace().isEmpty,
                let part = rest.removePrefix(through: delimiter),
                let canonicalPart = self.canonicalizePart(part)
            else { return nil }
            output.append(contentsOf: canonicalPart)
        }
        return output
    }

    private static func canonicalizePart(_ part: ArraySlice<UInt8>) -> [UInt8]? {
        var headers: [[UInt8]] = []
        var rest = part
        while true {
            // An empty line ends the headers; without one, a header could pass for the body.
            guard let line = rest.removePrefix(through: self.lineBreak) else { return nil }
            if line.isEmpty { break }
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return nil }
            var header: [UInt8] = []
            header.append(lengthPrefixed: line[..<colon].map(self.lowercased))
            header.append(lengthPrefixed: line[(colon + 1)...].trimmingOptionalWhitespace())
            headers.append(header)
        }
        headers.sort { $0.lexicographicallyPrecedes($1) }

        var output: [UInt8] = []
        output.append(lengthPrefixed: headers.flatMap(\.self))
        output.append(lengthPrefixed: rest)
        return output
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }
}

extension ArraySlice<UInt8> {
    /// Removes everything up to the end of the first `pattern`.
    ///
    /// - Returns: What stood before `pattern`; `nil`, with nothing removed, if it does not occur.
    fileprivate mutating func removePrefix(through pattern: [UInt8]) -> ArraySlice<UInt8>? {
        guard let first = pattern.first else { return nil }
        var start = self.startIndex
        while let candidate = self[start...].firstIndex(of: first) {
            if self[candidate...].starts(with: pattern) {
                defer { self = self[(candidate + pattern.count)...] }
                return self[..<candidate]
            }
            start = candidate + 1
        }
        return nil
    }
}
