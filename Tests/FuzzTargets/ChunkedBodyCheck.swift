import NIOCore

@testable import HTTPProxy

/// A chunked body is the same in whatever pieces it comes.
struct ChunkedBodyCheck {
    func check(_ input: [UInt8]) throws {
        let whole = Self.read([Array(input.dropFirst())])
        try Violation.unless(Self.read(input.pieces) == whole, "In pieces, the body is another")
    }

    private struct Reading: Equatable {
        var body: [UInt8] = []
        var trailers: [String]?
        var isRefused = false
    }

    private static func read(_ pieces: [[UInt8]]) -> Reading {
        var (decoder, buffer, reading) = (ChunkedDecoder(), ByteBuffer(), Reading())
        for piece in pieces where reading.trailers == nil {
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
        return reading
    }
}
