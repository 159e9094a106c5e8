import NIOHPACK

@testable import HTTPProxy

/// What is true of a request that is forwarded is true of one that came over HTTP/2, where names and values are any
/// bytes; and its trailers are whole lines.
struct HTTP2HeadCheck {
    var forwarded = ForwardedRequestCheck()
    var trailers: @Sendable (HPACKHeaders) throws -> Trailers = { try Self.screen.screen(trailers: $0) }

    private static let screen = RequestScreen(pseudonym: "fuzzed")
    private static let recordSeparator: UInt8 = 0x1E

    /// Reads a byte, which is odd if no body follows, and fields such as `:method: GET`, with a record separator
    /// between them.
    func check(_ input: [UInt8]) throws {
        guard let first = input.first else { return }
        let headers = Self.headers(input.dropFirst())
        if let trailers = try? self.trailers(headers) { try Self.check(trailers) }
        guard let head = try? Self.screen.screen(headers, endsStream: !first.isMultiple(of: 2)),
            let method = headers.first(name: ":method"), let target = headers.first(name: ":path")
        else { return }
        try self.forwarded.check(head, method: method, target: target)
    }

    static func headers(_ input: ArraySlice<UInt8>) -> HPACKHeaders {
        let fields = input.split(separator: Self.recordSeparator).map { field in
            // The first colon may be that of a pseudo-header field.
            let colon = field.dropFirst().firstIndex(of: UInt8(ascii: ":")) ?? field.endIndex
            let value = field[colon...].dropFirst()
            let isSpaced = value.first == UInt8(ascii: " ")
            return (
                String(decoding: field[..<colon], as: UTF8.self),
                String(decoding: isSpaced ? value.dropFirst() : value, as: UTF8.self)
            )
        }
        return HPACKHeaders(fields)
    }

    private static func check(_ trailers: Trailers) throws {
        guard !trailers.isEmpty else { return }
        let text = trailers.map { "\($0.name): \($0.value)\r\n" }.joined() + "\r\n"
        guard let lines = HeadLines(Array(text.utf8)), lines.lines.count == trailers.count else {
            throw Violation("Trailers were accepted with broken lines")
        }
        let framings = trailers.forwardable.filter {
            ["content-length", "transfer-encoding", "host"].contains($0.name.lowercased())
        }
        try Violation.unless(framings.isEmpty, "A trailer says where the body ends, or whose the request is")
    }
}
