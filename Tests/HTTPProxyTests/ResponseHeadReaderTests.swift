import NIOCore
import Testing

@testable import HTTPProxy

@Suite("The reader of response heads")
struct ResponseHeadReaderTests {
    private static func read(_ text: String, maxSize: Int = 1_000, maxCount: Int = 10) throws -> ResponseHead? {
        var reader = ResponseHeadReader(maxSize: maxSize, maxCount: maxCount)
        var buffer = ByteBuffer(string: text)
        return try reader.read(from: &buffer)
    }

    @Test("finds status, reason, fields and framing, and leaves what follows")
    func head() throws {
        var reader = ResponseHeadReader(maxSize: 1_000, maxCount: 10)
        var buffer = ByteBuffer(
            string: "HTTP/1.1 404 Not  Found\r\nX-A:  b c \r\nx-empty:\r\nContent-Length: 3\r\n\r\nabc")
        let head = try #require(try reader.read(from: &buffer))
        #expect(head.status == 404)
        #expect(String(decoding: head.bytes(head.statusText), as: UTF8.self) == "404 Not  Found")
        let fields = head.fields.map { field in
            [head.name(of: field), head.value(of: field)].map { String(decoding: $0, as: UTF8.self) }
        }
        #expect(fields == [["X-A", "b c"], ["x-empty", ""], ["Content-Length", "3"]])
        #expect(head.framing == .length(3))
        #expect(head.isPersistent)
        #expect(String(buffer: buffer) == "abc")
    }

    @Test("takes a head in pieces of any size", arguments: 1...40)
    func pieces(size: Int) throws {
        let text = "HTTP/1.1 200 OK\r\nA: \r\nTransfer-Encoding: Chunked\r\nConnection: X, Close\r\n\r\n"
        var reader = ResponseHeadReader(maxSize: 1_000, maxCount: 10)
        var (buffer, head): (ByteBuffer, ResponseHead?) = (ByteBuffer(), nil)
        var rest = text.utf8[...]
        while !rest.isEmpty {
            #expect(head == nil)
            buffer.writeBytes(rest.prefix(size))
            rest = rest.dropFirst(size)
            head = try reader.read(from: &buffer)
        }
        let found = try #require(head)
        #expect(found.framing == .chunked)
        #expect(!found.isPersistent)
        #expect(found.connectionOptions == ["x", "close"])
        #expect(buffer.readableBytes == 0)
    }

    @Test(
        "refuses what two readers could understand in two ways",
        arguments: [
            "HTTP/1.1 200 OK\n\n", "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "HTTP/1.1 200 OK\r\n: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "HTTP/1.1 200 OK\r\nA: \u{0}\r\n\r\n", "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 099 X\r\n\r\n", "HTTP/1.1 2000 X\r\n\r\n",
            "http/1.1 200 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ])
    func malformed(_ text: String) {
        #expect(throws: MalformedMessage.self) { try Self.read(text) }
    }

    @Test("refuses what is too large, also before its end has come")
    func bounds() throws {
        let fields = (1...10).map { "A: \($0)\r\n" }.joined()
        #expect(try Self.read("HTTP/1.1 200 OK\r\n\(fields)\r\n") != nil)
        #expect(throws: MalformedMessage.self) { try Self.read("HTTP/1.1 200 OK\r\n\(fields)A: 11\r\n\r\n") }
        let long = String(repeating: "x", count: 1_000)
        #expect(throws: MalformedMessage.self) { try Self.read("HTTP/1.1 200 OK\r\nA: \(long)\r\n\r\n") }
        #expect(throws: MalformedMessage.self) { try Self.read("HTTP/1.1 200 OK\r\nA: \(long)") }
        var reader = ResponseHeadReader(maxSize: 1_000, maxCount: 10)
        var buffer = ByteBuffer(string: "HTTP/1.1 200 OK\r\nA: ")
        let incomplete = try reader.read(from: &buffer)
        #expect(incomplete == nil)
        buffer.writeString(long)
        #expect(throws: MalformedMessage.self) {
            var rest = buffer
            _ = try reader.read(from: &rest)
        }
    }

    @Test("knows where no body follows")
    func bodiless() throws {
        let cases = [(200, true, true), (204, false, true), (304, false, true), (200, false, false)]
        for (status, isHead, isNone) in cases {
            let head = try #require(try Self.read("HTTP/1.1 \(status) X\r\nContent-Length: 3\r\n\r\n"))
            #expect((head.bodyFraming(isResponseToHead: isHead) == .none) == isNone)
        }
        #expect(try Self.read("HTTP/1.1 200 OK\r\n\r\n")?.framing == .untilClose)
        #expect(try Self.read("HTTP/1.0 200\r\n\r\n")?.isPersistent == false)
    }
}

@Suite("The decoder of chunks")
struct ChunkedDecoderTests {
    private static func decode(_ text: String, by size: Int = .max) throws -> (String, [String]?, rest: String) {
        var (decoder, buffer, body) = (ChunkedDecoder(), ByteBuffer(), "")
        var trailers: [String]?
        var rest = text.utf8[...]
        while !rest.isEmpty, trailers == nil {
            buffer.writeBytes(rest.prefix(size))
            rest = rest.dropFirst(size)
            while trailers == nil, let event = try decoder.next(from: &buffer) {
                switch event {
                case .bytes(let bytes): body += String(buffer: bytes)
                case .end(let fields): trailers = fields.map { "\($0.name)=\($0.value)" }
                }
            }
        }
        return (body, trailers, String(buffer: buffer) + String(Substring(rest)))
    }

    @Test("finds body, trailers, and what follows, in pieces of any size", arguments: 1...30)
    func chunks(size: Int) throws {
        let text = "3\r\nabc\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\nX-A:  b \r\nX-B:\r\n\r\n!"
        let (body, trailers, rest) = try Self.decode(text, by: size)
        #expect(body == "abc0123456789")
        #expect(trailers == ["X-A=b", "X-B="])
        #expect(rest == "!")
    }

    @Test(
        "refuses what two readers could understand in two ways",
        arguments: [
            "z\r\n", "\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", "1\nabc", "3\r\nabcd\r\n", "3\r\nabc\n0\r\n",
            "fffffffffffffffff\r\n", "3;\u{0}\r\n", "0\r\nX A: b\r\n\r\n", "0\r\n: b\r\n\r\n", "0\r\nX\r\n\r\n",
            "0\r\nA: b\nC: d\r\n\r\n",
        ])
    func malformed(_ text: String) {
        #expect(throws: MalformedMessage.self) { try Self.decode(text) }
    }

    /// To Swift, a colon that a combining mark follows is another character.
    @Test("takes trailers whose values begin with a combining mark")
    func combiningMark() throws {
        #expect(try Self.decode("0\r\nX-Note:\u{301}a\r\n\r\n").1 == ["X-Note=\u{301}a"])
    }

    @Test("keeps neither long lines nor long trailers")
    func bounds() {
        let long = String(repeating: "x", count: 5_000)
        #expect(throws: MalformedMessage.self) { try Self.decode("1;\(long)") }
        let many = (1...30).map { "X-\($0): \(String(repeating: "x", count: 4_000))\r\n" }.joined()
        #expect(throws: MalformedMessage.self) { try Self.decode("0\r\n\(many)\r\n") }
    }
}
