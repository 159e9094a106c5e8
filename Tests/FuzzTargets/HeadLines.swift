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
}
