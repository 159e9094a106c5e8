import NIOCore
import NIOEmbedded
import NIOHTTP1

@testable import HTTPProxy

/// A request that is forwarded is one request to its next reader, with the same method and target: nothing is smuggled in it.
struct RequestHeadCheck {
    func check(_ input: [UInt8]) throws {
        guard let first = Self.requests(in: input).first,
            let head = try? RequestScreen(pseudonym: "fuzzed").screen(first)
        else { return }
        let written = Self.write(head)
        guard let lines = HeadLines(written) else { throw Violation("A head was written with broken lines") }
        let requestLine = String(decoding: lines.lines[0], as: UTF8.self)
        try Violation.unless(requestLine == "\(head.method) \(head.target) HTTP/1.1", "Another request line")
        let isOriginForm = first.uri.utf8.first == UInt8(ascii: "/")
        try Violation.unless(!isOriginForm || first.uri == head.target, "Another target than what was sent")
        let framings = lines.lines.dropFirst().map { String(decoding: $0, as: UTF8.self).lowercased() }
            .filter { $0.hasPrefix("content-length:") || $0.hasPrefix("transfer-encoding:") }
        try Violation.unless(framings.count <= 1, "A body with two ends")
        // A parser reads no further after an Upgrade request.
        guard head.upgrade == nil, let body = Self.body(head.body) else { return }
        let next = Array("GET /next HTTP/1.1\r\nHost: next\r\n\r\n".utf8)
        let read = Self.requests(in: written + body + next)
        try Violation.unless(
            read.map(\.uri) == [head.target, "/next"], "The next reader finds \(read.map(\.uri))")
        try Violation.unless(read[0].method == first.method, "The next reader finds another method")
    }

    private static func write(_ head: RequestHead) -> [UInt8] {
        let writer = RequestHeadWriter(rewriting: HeadRewriting(pseudonym: "fuzzed"), upstreamAuthority: "upstream")
        var buffer = ByteBuffer()
        writer.write(
            head, from: ClientAddress(nil, isSecure: false), framing: head.body, awaitsContinue: head.expectsContinue,
            to: &buffer)
        return Array(buffer: buffer)
    }

    /// Bytes that are a body; `nil` if it would be a long one.
    private static func body(_ framing: BodyFraming) -> [UInt8]? {
        switch framing {
        case .none: []
        case .length(let length): length <= 4_096 ? Array(repeating: UInt8(ascii: "x"), count: length) : nil
        case .chunked, .untilClose: Array("0\r\n\r\n".utf8)
        }
    }

    /// The heads that the parser finds which the proxy has.
    private static func requests(in bytes: [UInt8]) -> [HTTPRequestHead] {
        let decoder = ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes))
        let channel = EmbeddedChannel(handler: decoder)
        defer { _ = try? channel.finish() }
        var heads: [HTTPRequestHead] = []
        _ = try? channel.writeInbound(ByteBuffer(bytes: bytes))
        while let part = try? channel.readInbound(as: HTTPServerRequestPart.self) {
            if case .head(let head) = part { heads.append(head) }
        }
        return heads
    }
}
