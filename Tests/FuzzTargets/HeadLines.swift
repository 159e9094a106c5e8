@testable import HTTPProxy

/// The lines of a head, taken apart without any of the code that is fuzzed.
struct HeadLines {
    let lines: [ArraySlice<UInt8>]

    /// - Returns: `nil` if the head does not end in an empty line, or a line is folded, or has a control character.
    init?(_ head: [UInt8]) {
        guard head.suffix(4) == Array("\r\n\r\n".utf8)[...] else { return nil }
        let lines = head.dropLast(4).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        var whole: [ArraySlice<UInt8>] = []
        for (index, line) in lines.enumerated() {
            // The last of them lost its end above.
            let isLast = index == lines.count - 1
            guard isLast || line.last == UInt8(ascii: "\r") else { return nil }
            let text = isLast ? line : line.dropLast()
            let isFolded = text.first == UInt8(ascii: " ") || text.first == UInt8(ascii: "\t")
            let isClean = text.allSatisfy { $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) }
            guard !text.isEmpty, !isFolded, isClean else { return nil }
            whole.append(text)
        }
        self.lines = whole
    }

    /// The values of the fields with a name in lower case, without the space around them.
    func fields(named name: String) -> [String] {
        self.lines.dropFirst().compactMap { line in
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")),
                String(decoding: line[..<colon], as: UTF8.self).lowercased() == name
            else { return nil }
            let isSpace = { (byte: UInt8) in byte == 0x20 || byte == 0x09 }
            let value = line[line.index(after: colon)...].drop(while: isSpace).reversed().drop(while: isSpace)
                .reversed()
            return String(decoding: Array(value), as: UTF8.self)
        }
    }

    /// How the end of a body is found (RFC 9112, section 6.3), if neither the method nor the status says that there is
    /// none.
    ///
    /// - Parameter otherwise: What holds if the head says nothing.
    /// - Returns: `nil` if the head leaves it in doubt.
    func framing(otherwise: BodyFraming) -> BodyFraming? {
        switch (self.fields(named: "transfer-encoding"), self.fields(named: "content-length")) {
        case (let codings, []) where codings.map { $0.lowercased() } == ["chunked"]: return .chunked
        case ([], let lengths) where lengths.count == 1:
            return lengths[0].wholeMatch(of: /[0-9]+/).flatMap { Int($0.output) }.map { .length($0) }
        case ([], []): return otherwise
        default: return nil
        }
    }
}
