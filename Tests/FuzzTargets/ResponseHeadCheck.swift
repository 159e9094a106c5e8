import NIOCore

@testable import HTTPProxy

/// The head of a response is the same in whatever pieces it comes, and one that is accepted has only whole lines.
struct ResponseHeadCheck {
    func check(_ input: [UInt8]) throws {
        let (whole, pieces) = (Self.read([Array(input.dropFirst())]), Self.read(input.pieces))
        // Of a head that comes in pieces, no more is looked at until its end is there.
        try Violation.unless(
            pieces == whole || (whole == .refused && pieces == .incomplete), "In pieces, the head is another")
        guard case .head(let bytes, _, _) = whole else { return }
        try Violation.unless(HeadLines(bytes) != nil, "A head was accepted with broken lines")
        try Violation.unless(Self.read([bytes]) == whole, "By itself, the head is another")
    }

    private enum Reading: Equatable {
        case incomplete
        case refused
        case head([UInt8], status: Int, BodyFraming)
    }

    private static func read(_ pieces: [[UInt8]]) -> Reading {
        var (reader, buffer) = (ResponseHeadReader(maxSize: 1_024, maxCount: 8), ByteBuffer())
        for piece in pieces {
            buffer.writeBytes(piece)
            do {
                guard let head = try reader.read(from: &buffer) else { continue }
                return .head(Array(buffer: head.bytes), status: head.status, head.framing)
            } catch {
                return .refused
            }
        }
        return .incomplete
    }
}

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
