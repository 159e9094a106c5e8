import HTTPTestSupport
import TestSupport
import Testing

@Suite("A request that two readers could understand in two ways")
struct SmugglingTests {
    private static let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test(
        "is refused, never reaches the upstream, and ends the connection",
        arguments: [
            "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            "Content-Length: 5, 6\r\n\r\nhello",
            "Content-Length: 5, 5\r\n\r\nhello",
            "Content-Length: +5\r\n\r\nhello",
            "Content-Length: -5\r\n\r\nhello",
            "Content-Length: 0x5\r\n\r\nhello",
            "Content-Length: 5x\r\n\r\nhello",
            "Content-Length: 5 5\r\n\r\nhello",
            "Content-Length:\r\n\r\n",
            "Content-Length: 18446744073709551621\r\n\r\nhello",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: identity\r\n\r\n",
            "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            "Content-Length : 5\r\n\r\nhello",
            "Transfer-Encoding: chunked\r\n\r\nz\r\nhello\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
            "X-A: 1\r\n folded\r\n\r\n",
            "X-A: 1\r\n\tfolded\r\n\r\n",
            " X-A: 1\r\n\r\n",
            "X A: 1\r\n\r\n",
            "X-A : 1\r\n\r\n",
            "X-A\r\n\r\n",
            ": 1\r\n\r\n",
            "X-A: a\u{0}b\r\n\r\n",
            "X-A: a\rb\r\n\r\n",
            "X-A: 1\nX-B: 2\r\n\r\n",
            "X-A: 1\r\n\nX",
            "Host: b\r\n\r\n",
        ])
    func refused(_ rest: String) async throws {
        try await TestProxy.with { proxy async throws in
            for key in ["", "Idempotency-Key: k-1\r\n"] {
                try await RawConnection.open(port: proxy.port) { connection in
                    try await connection.write("POST / HTTP/1.1\r\nHost: a\r\n\(key)\(rest)\(Self.hidden)")
                    let response = try await connection.readResponse()
                    #expect(response.status == 400)
                    #expect(response.text == "badRequest")
                    #expect(response["Connection"] == ["close"])
                    #expect(try await connection.takeRest().isEmpty)
                }
            }
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test(
        "is refused by its first line",
        arguments: [
            "GET /a b HTTP/1.1", "GET /\t HTTP/1.1", "GET a HTTP/1.1", "GET * HTTP/1.1",
            "POST * HTTP/1.1",
            "GET ftp://a/ HTTP/1.1", "GET http:// HTTP/1.1", "GET http:///a HTTP/1.1", "GET / HTTP/1.2x",
            "GET / HTTP/3.0",
            "GET / HTTP/0.9", "GET / http/1.1", "GET /", "GET /\u{e9} HTTP/1.1", "GET /\u{7f} HTTP/1.1",
            "GET /#x\u{1} HTTP/1.1", "GET /a#b HTTP/1.1",
            "GE T / HTTP/1.1", "(GET) / HTTP/1.1",
        ])
    func refusedLine(_ line: String) async throws {
        try await TestProxy.with { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("\(line)\r\nHost: a\r\n\r\n\(Self.hidden)")
                let response = try await connection.readResponse()
                #expect([400, 501].contains(response.status))
            }
            #expect(!proxy.upstream.requests.contains { !$0.start.contains("/hidden") })
        }
    }

    @Test(
        "is refused by its host",
        arguments: [
            "a b", "a/b", "a@b", "a#b", "a?b", "a\\b", "a\"b", "a<b", "\u{e9}", "a:b", "a:80:80", "a:99999", "[::1",
            "[::1]x", "u@a",
        ])
    func refusedHost(_ host: String) async throws {
        try await TestProxy.with { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")
                let response = try await connection.readResponse()
                #expect(response.status == 400)
                #expect(response.text == "badRequest")
            }
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test("is refused for want of a host")
    func noHost() async throws {
        try await TestProxy.with { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("GET / HTTP/1.1\r\n\r\n")
                #expect(try await connection.readResponse().status == 400)
            }
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test("is refused after the requests before it have had their responses")
    func pipelined() async throws {
        let gate = Gate()
        let script = TestUpstream.responding { request in
            await gate.pass()
            return .response(body: request.start)
        }
        try await TestProxy.with(script: script) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(
                    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nX-A\r\n\r\n\(Self.hidden)")
                try await eventually { gate.arrivals == 1 }
                gate.open()
                #expect(try await connection.readResponse().text == "GET /1 HTTP/1.1")
                #expect(try await connection.readResponse().status == 400)
                #expect(try await connection.takeRest().isEmpty)
            }
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test(
        "in the middle of a chunked body never gets an end at the upstream",
        arguments: ["", "Idempotency-Key: k-1\r\n"])
    func lateBadChunk(key: String) async throws {
        let upload = Gate()
        let script: TestUpstream.Script = { connection, upstream in
            _ = try await connection.readHead()
            await upload.pass()
            upstream.record(WireMessage(body: try await connection.takeRest()))
        }
        try await TestProxy.with(script: script) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(
                    "POST / HTTP/1.1\r\nHost: a\r\n\(key)Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
                if key.isEmpty { try await eventually { upload.arrivals == 1 } }
                upload.open()
                try await connection.write("zz\r\n0\r\n\r\n\(Self.hidden)")
                let response = try await connection.readResponse()
                #expect(response.status == 400)
                #expect(response.text == "badRequest")
                #expect(try await connection.takeRest().isEmpty)
            }
            try await eventually { proxy.upstream.closedConnections == proxy.upstream.connections }
            #expect(proxy.upstream.connections == (key.isEmpty ? 1 : 0))
            #expect(proxy.upstream.requests.allSatisfy { $0.text == "5\r\nhello\r\n" })
        }
    }

    @Test("since only one of them takes what follows CONNECT for a tunnel is refused, and the connection ends")
    func afterConnect() async throws {
        try await TestProxy.with { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n\(Self.hidden)")
                let response = try await connection.readResponse()
                #expect(response.status == 501)
                #expect(response["Connection"] == ["close"])
                #expect(try await connection.takeRest().isEmpty)
            }
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test(
        "since its method has another case is refused, with a key or without one", arguments: ["post", "Post", "get"])
    func caseOfMethod(_ method: String) async throws {
        try await TestProxy.with { proxy async throws in
            for fields in [[], ["Idempotency-Key: k-1"]] {
                #expect(try await proxy.send("\(method) /", fields, body: "x").status == 501)
            }
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test("by a body of TRACE is refused")
    func trace() async throws {
        try await TestProxy.with { proxy async throws in
            let response = try await proxy.send("TRACE /", body: "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(response.status == 400)
            #expect(response.text == "badRequest")
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test("by a body of GET passes as what it is")
    func bodyOfGET() async throws {
        try await TestProxy.with { proxy async throws in
            _ = try await proxy.send("GET /", body: Self.hidden)
            #expect(proxy.upstream.request?.text == Self.hidden)
        }
    }
}
