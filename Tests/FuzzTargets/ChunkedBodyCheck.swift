import NIOCore

@testable import HTTPProxy

/// A chunked body is the same in whatever pieces it comes; what was put into chunks comes out, and nothing behind them.
struct ChunkedBodyCheck {
    struct Reading: Equatable {
        var body: [UInt8] = []
        var trailers: [String]?
        var isRefused = false
        /// What stands behind the body.
        var rest: [UInt8] = []
    }

    var read: @Sendable ([[UInt8]]) -> Reading = { Self.read($0) }

    func check(_ input: [UInt8]) throws {
        let whole = self.read([Array(input.dropFirst())])
        try Violation.unless(self.read(input.pieces) == whole, "In pieces, the body is another")
        let next = Array("GET / HTTP/1.1\r\n".utf8)
        let expected = Reading(body: Array(input.dropFirst()), trailers: ["Name: a value"], rest: next)
        try Violation.unless(
            self.read([Self.chunked(input.pieces) + next]) == expected, "From chunks, another body comes")
    }

    private static func chunked(_ pieces: [[UInt8]]) -> [UInt8] {
        let chunks = pieces.flatMap { piece in
            Array("0\(String(piece.count, radix: 16, uppercase: true));a=\"b\"\r\n".utf8) + piece + Array("\r\n".utf8)
        }
        return chunks + Array("00\r\nName:  a value \r\n\r\n".utf8)
    }

    static func read(_ pieces: [[UInt8]]) -> Reading {
        var (decoder, buffer, reading) = (ChunkedDecoder(), ByteBuffer(), Reading())
        for piece in pieces {
            buffer.writeBytes(piece)
            do {
                while reading.trailers == nil, let event = try decoder.next(from: &buffer) {
                    switch event {
                    case .bytes(let bytes): reading.body += Array(buffer: bytes)
                    case .end(let trailers): reading.trailers = trailers.map { "\($0.name): \($0.value)" }
                    }
                }
            } catch {
                reading.isRefused = true
                return reading
            }
        }
        if reading.trailers != nil { reading.rest = Array(buffer: buffer) }
        return reading
    }
}
