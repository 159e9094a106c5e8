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
