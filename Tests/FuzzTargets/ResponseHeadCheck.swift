import NIOCore

@testable import HTTPProxy

/// The head of a response is the same in whatever pieces it comes, and one that is accepted has only whole lines, and
/// says where the body ends.
struct ResponseHeadCheck {
    enum Reading: Equatable {
        case incomplete
        case refused
        case head([UInt8], status: Int, BodyFraming)
    }

    var read: @Sendable ([[UInt8]]) -> Reading = { Self.read($0) }

    func check(_ input: [UInt8]) throws {
        let (whole, pieces) = (self.read([Array(input.dropFirst())]), self.read(input.pieces))
        // Of a head that comes in pieces, no more is looked at until its end is there.
        try Violation.unless(
            pieces == whole || (whole == .refused && pieces == .incomplete), "In pieces, the head is another")
        guard case .head(let bytes, let status, let framing) = whole else { return }
        guard let lines = HeadLines(bytes) else { throw Violation("A head was accepted with broken lines") }
        try Violation.unless(lines.lines[0].dropFirst(9).starts(with: "\(status)".utf8), "Another status")
        try Violation.unless(
            framing == lines.framing(otherwise: .untilClose), "The end of the body is not where the head says")
        try Violation.unless(
            framing != .chunked || lines.lines[0].starts(with: "HTTP/1.1".utf8), "Chunks before HTTP/1.1")
        try Violation.unless(self.read([bytes]) == whole, "By itself, the head is another")
    }

    static func read(_ pieces: [[UInt8]]) -> Reading {
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
