import NIOCore
import NIOEmbedded
import NIOHTTP1

@testable import HTTPProxy

/// A request that is forwarded says once where it goes and where its body ends, and is one request to SwiftNIO's parser,
/// with the same method and target: nothing is smuggled in it.
struct ForwardedRequestCheck {
    var write: @Sendable (RequestHead) -> [UInt8] = { Self.write($0) }

    /// Writes a head, and reads what was written.
    ///
    /// - Parameters:
    ///   - head: The head that is forwarded.
    ///   - method: The method, as the client sent it.
    ///   - target: The target, as the client sent it.
    /// - Throws: ``Violation``.
    func check(_ head: RequestHead, method: String, target: String) throws {
        let written = self.write(head)
        guard let lines = HeadLines(written) else { throw Violation("A head was written with broken lines") }
        let requestLine = String(decoding: lines.lines[0], as: UTF8.self)
        try Violation.unless(requestLine == "\(method) \(head.target) HTTP/1.1", "Another request line")
        let isOriginForm = target.utf8.first == UInt8(ascii: "/")
        try Violation.unless(
            !isOriginForm || target.utf8.elementsEqual(head.target.utf8), "Another target than what was sent")
        try Violation.unless(lines.fields(named: "host").count == 1, "Not one host")
        let framing = lines.framing(otherwise: .none)
        try Violation.unless(
            (framing == .length(0) ? BodyFraming.none : framing) == head.body, "The body ends elsewhere")
        // A parser reads no further after an Upgrade request, and finds none with a method that it does not know.
        guard head.upgrade == nil, Self.isKnown(method), let body = Self.body(head.body) else { return }
        let next = Array("GET /next HTTP/1.1\r\nHost: next\r\n\r\n".utf8)
        let read = Self.requests(in: written + body + next)
        try Violation.unless(
            read.map(\.uri) == [head.target, "/next"], "The next reader finds \(read.map(\.uri))")
        try Violation.unless(Self.name(of: read[0].method) == method, "The next reader finds another method")
    }

    /// The heads that the parser finds which the proxy has.
    static func requests(in bytes: [UInt8]) -> [HTTPRequestHead] {
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

    /// SwiftNIO misspells one.
    static func name(of method: HTTPMethod) -> String { method == .MSEARCH ? "M-SEARCH" : method.rawValue }

    private static func isKnown(_ method: String) -> Bool {
        !Self.requests(in: Array("\(method) / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)).isEmpty
    }

    static func write(_ head: RequestHead) -> [UInt8] {
        let writer = RequestHeadWriter(rewriting: HeadRewriting(pseudonym: "fuzzed"), upstreamAuthority: "upstream")
        var buffer = ByteBuffer()
        writer.write(
            head, from: ClientAddress(nil, isSecure: false), framing: head.body, awaitsContinue: head.expectsContinue,
            upgrade: head.upgrade, to: &buffer)
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
}
