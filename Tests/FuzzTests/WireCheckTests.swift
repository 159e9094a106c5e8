import Testing

@testable import FuzzTargets
@testable import HTTPProxy

/// The checks of what comes over a connection can fail: they find readers, and writers, with one mistake.
@Suite("The checks of messages that are fuzzed")
struct WireCheckTests {
    @Test("finds readers of pieces that lose the last one, or take what is behind the end")
    func pieces() {
        let replies = RedisReplyCheck { RedisReplyCheck.read(Array($0.prefix(1))) }
        #expect(throws: Violation.self) { try replies.check([3] + Array("+OK\r\n".utf8)) }
        let chunks = ChunkedBodyCheck { pieces in
            var reading = ChunkedBodyCheck.read(pieces)
            reading.rest = []
            return reading
        }
        #expect(throws: Violation.self) { try chunks.check([1, 0x61, 0x62, 0x63]) }
        #expect(throws: Never.self) { try ChunkedBodyCheck().check([1, 0x61, 0x62, 0x63]) }
    }

    @Test("finds a reader of responses that lets the chunks win over a length, or takes another length")
    func responseHead() {
        let doubtful = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        let winning = ResponseHeadCheck { pieces in
            .head(pieces.flatMap { $0 }, status: 200, .chunked)
        }
        #expect(throws: Violation.self) { try winning.check([15] + Array(doubtful.utf8)) }
        let other = ResponseHeadCheck { pieces in
            .head(pieces.flatMap { $0 }, status: 200, .length(4))
        }
        #expect(throws: Violation.self) {
            try other.check([15] + Array("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".utf8))
        }
    }

    /// How a head can be written wrong.
    private static let writers: [@Sendable ([UInt8]) -> [UInt8]] = [
        { Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8) + $0 },
        { $0.dropLast(2) + Array("Transfer-Encoding: chunked\r\n\r\n".utf8) },
        { $0.dropLast(2) + Array("Host: other\r\n\r\n".utf8) },
        { $0.dropLast(2) + Array("A: b\r\n C: d\r\n\r\n".utf8) },
        { Array("PUT".utf8) + $0.dropFirst(4) },
    ]

    @Test("finds a writer of heads that smuggles something, or changes what is asked for", arguments: writers.indices)
    func forwardedRequest(writer: Int) throws {
        let text = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"
        let sent = try #require(ForwardedRequestCheck.requests(in: Array(text.utf8)).first)
        let head = try RequestScreen(pseudonym: "fuzzed").screen(sent)
        #expect(throws: Never.self) { try ForwardedRequestCheck().check(head, method: "POST", target: "/a") }
        let wrong = ForwardedRequestCheck { Self.writers[writer](ForwardedRequestCheck.write($0)) }
        #expect(throws: Violation.self) { try wrong.check(head, method: "POST", target: "/a") }
    }

    @Test("finds what is smuggled in a request of either version, and in trailers")
    func versions() {
        let smuggling = ForwardedRequestCheck { Self.writers[1](ForwardedRequestCheck.write($0)) }
        let text = Array("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n".utf8)
        #expect(throws: Never.self) { try RequestHeadCheck().check(text) }
        #expect(throws: Violation.self) { try RequestHeadCheck(forwarded: smuggling).check(text) }
        let fields = [":method: POST", ":path: /a", ":scheme: https", ":authority: a", "content-length: 1"]
        let headers = [0] + Array(fields.joined(separator: "\u{1E}").utf8)
        #expect(throws: Never.self) { try HTTP2HeadCheck().check(headers) }
        #expect(throws: Violation.self) { try HTTP2HeadCheck(forwarded: smuggling).check(headers) }
        let careless = HTTP2HeadCheck(trailers: { $0.map { ($0.name, $0.value) } })
        let trailers = [0] + Array("a: b\r\nc: d".utf8)
        #expect(throws: Never.self) { try HTTP2HeadCheck().check(trailers) }
        #expect(throws: Violation.self) { try careless.check(trailers) }
    }

    @Test("takes a head apart without the code that is fuzzed")
    func lines() throws {
        #expect(HeadLines(Array("GET / HTTP/1.1\r\nA: b\r\n\r\n".utf8))?.lines.count == 2)
        for broken in ["A\nB\r\n\r\n", "A\r\n B: c\r\n\r\n", "A\rB\r\n\r\n", "A\r\n\r\nB\r\n\r\n", "A\r\nB\r\n", ""] {
            #expect(HeadLines(Array(broken.utf8)) == nil)
        }
    }
}
