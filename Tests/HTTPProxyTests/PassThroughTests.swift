import HTTPProxy
import HTTPTestSupport
import TestSupport
import Testing

@Suite("What is not guarded passes")
struct PassThroughTests {
    @Test(
        "with its target byte for byte",
        arguments: [
            "/", "/a", "/a?", "/a?b=c&b=d", "//a//b/", "/a/../b/./c", "/%41%2f%2F%zz%", "/a%20b+c", "/a?b=%00&c=%FF",
            "/a;b=1,2/c:d@e", "/~!$&'()*+,;=:@-._", "/a?b?c/d//e", "/{}|\\^`[]\"<>", "/a?//host/x", "/?",
        ])
    func target(_ target: String) async throws {
        try await TestProxy.with { proxy async throws in
            _ = try await proxy.send("GET \(target)")
            #expect(proxy.upstream.request?.start == "GET \(target) HTTP/1.1")
        }
    }

    @Test(
        "with its method",
        arguments: [
            "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "MKCOL", "REPORT", "PURGE",
            "QUERY",
            "LINK", "M-SEARCH",
        ])
    func method(_ method: String) async throws {
        try await TestProxy.with { proxy async throws in
            #expect(try await proxy.send("\(method) /a").status == 200)
            #expect(proxy.upstream.request?.start == "\(method) /a HTTP/1.1")
        }
    }

    @Test("as OPTIONS of the server itself")
    func optionsAsterisk() async throws {
        try await TestProxy.with(
            script: TestUpstream.responding { _ in .response("204 No Content", ["Allow: GET"], bytes: []) }
        ) {
            proxy async throws in
            let response = try await proxy.send("OPTIONS *")
            #expect(response["Allow"] == ["GET"])
            #expect(proxy.upstream.request?.start == "OPTIONS * HTTP/1.1")
        }
    }

    @Test("with the host in the target, if it has the absolute form")
    func absoluteForm() async throws {
        try await TestProxy.with { proxy async throws in
            _ = try await proxy.send("GET http://real.test:81/a?b")
            #expect(proxy.upstream.request?.start == "GET /a?b HTTP/1.1")
            #expect(proxy.upstream.request?["Host"] == ["real.test:81"])
        }
    }

    @Test("with its header fields in their order, spelling and number, and so does the response")
    func fields() async throws {
        let fields = [
            "x-b: 2", "X-A: 1", "X-b: 3", "Accept: text/html, */*;q=0.1", "Cookie: a=1; b=2", "X-Empty:", "X-A: 1",
            "X-Odd: \"quoted, \\\" text\" ;;= \u{e9}\u{1F600}", "Authorization: Bearer abc",
        ]
        let sent = [
            "Set-Cookie: a=1; Path=/", "x-b: 2", "Set-Cookie: b=2", "X-A: 1", "X-b: 3",
            "Date: Tue, 01 Jan 2030 00:00:00 GMT",
            "Server: odd/1", "ETag: W/\"1\"", "WWW-Authenticate: Basic realm=\"a, b\"", "X-Odd: \u{e9}",
        ]
        try await TestProxy.with(script: TestUpstream.responding { _ in .response("200 OK", sent, body: "x") }) {
            proxy async throws in
            let response = try await proxy.send("GET /", fields)
            let request = try #require(proxy.upstream.request)
            let added = request.fields(
                without: "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded")
            #expect(added == ["Host: api.test"] + fields.map { $0 == "X-Empty:" ? "X-Empty: " : $0 })
            #expect(response.fields == sent + ["Content-Length: 1"])
            #expect(response.text == "x")
        }
    }

    @Test("with any status", arguments: [200, 203, 299, 302, 404, 418, 451, 499, 503, 599, 600, 999])
    func status(_ status: Int) async throws {
        try await TestProxy.with(script: TestUpstream.responding { _ in .response("\(status) X", body: "x") }) {
            proxy async throws in
            let response = try await proxy.send("GET /")
            #expect(response.start.hasPrefix("HTTP/1.1 \(status) "))
            #expect(response.text == "x")
        }
    }

    @Test("with a body of any bytes, of known length or chunked, both ways", arguments: [true, false], [true, false])
    func body(isChunked: Bool, isResponseChunked: Bool) async throws {
        let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 / 7) } + (0...255).map { UInt8($0) }
        let script = TestUpstream.responding { _ in
            guard isResponseChunked else { return .response("200 OK", [], bytes: bytes) }
            return .message(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"])
                + .chunks(bytes, of: 77_777) + .message(["0", "X-Sum: 7"])
        }
        try await TestProxy.with(script: script) { proxy async throws in
            let response = try await RawConnection.open(port: proxy.port) { connection in
                let framing = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(bytes.count)"
                try await connection.write(.message(["PUT / HTTP/1.1", "Host: api.test", framing]))
                try await connection.write(isChunked ? .chunks(bytes, of: 5_000) + .message(["0"]) : bytes)
                return try await connection.readResponse()
            }
            let request = try #require(proxy.upstream.request)
            #expect(request.body == bytes)
            #expect(request["Content-Length"] == (isChunked ? [] : ["\(bytes.count)"]))
            #expect(request["Transfer-Encoding"] == (isChunked ? ["chunked"] : []))
            #expect(response.body == bytes)
            #expect(response["Content-Length"] == (isResponseChunked ? [] : ["\(bytes.count)"]))
            #expect(response["Transfer-Encoding"] == (isResponseChunked ? ["chunked"] : []))
            #expect(response.trailers == (isResponseChunked ? ["X-Sum: 7"] : []))
        }
    }

    @Test("with an empty body, said or unsaid")
    func emptyBody() async throws {
        try await TestProxy.with { proxy async throws in
            _ = try await proxy.send("GET /")
            _ = try await proxy.send("GET /", body: "")
            _ = try await proxy.send("DELETE /")
            _ = try await proxy.send("POST /")
            #expect(proxy.upstream.requests.map { $0["Content-Length"] } == [[], ["0"], [], ["0"]])
            #expect(proxy.upstream.requests.allSatisfy { $0["Transfer-Encoding"].isEmpty && $0.body.isEmpty })
        }
    }

    @Test("with the length, and without the body, of a response to HEAD", arguments: ["Content-Length: 77", nil])
    func head(length: String?) async throws {
        let fields = length.map { [$0] } ?? []
        let script = TestUpstream.responding { _ in .message(["HTTP/1.1 200 OK", "ETag: \"a\""] + fields) }
        try await TestProxy.with(script: script) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                for _ in 1...2 {
                    let response = try await connection.send("HEAD /")
                    #expect(response.fields(without: "Date") == ["ETag: \"a\""] + fields)
                }
            }
        }
    }

    @Test("as a response that never has a body", arguments: ["204 No Content", "304 Not Modified"])
    func bodiless(_ status: String) async throws {
        let length = status.hasPrefix("304") ? ["Content-Length: 7"] : []
        let script = TestUpstream.responding { _ in .message(["HTTP/1.1 \(status)", "ETag: \"a\""] + length) }
        try await TestProxy.with(script: script) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                for _ in 1...2 {
                    let response = try await connection.send("GET /")
                    #expect(response.start == "HTTP/1.1 \(status)")
                    #expect(response.fields(without: "Date") == ["ETag: \"a\""] + length)
                }
            }
        }
    }

    @Test("as a response whose end is that of the connection")
    func closeDelimited() async throws {
        let script: TestUpstream.Script = { connection, _ in
            _ = try await connection.readMessage()
            try await connection.write(.message(["HTTP/1.0 200 OK"]) + Array("to the end".utf8))
        }
        try await TestProxy.with(script: script) { proxy async throws in
            let response = try await proxy.send("GET /")
            #expect(response.text == "to the end")
            #expect(response["Transfer-Encoding"] == ["chunked"])
        }
    }

    @Test("to a client of HTTP/1.0, which knows no chunks")
    func http10() async throws {
        let script = TestUpstream.responding { _ in
            .message(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"]) + .chunks(Array("abc".utf8), of: 2)
                + .message(["0"])
        }
        try await TestProxy.with(script: script) { proxy async throws in
            let response = try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("GET / HTTP/1.0\r\n\r\n")
                return try await connection.readResponse()
            }
            #expect(response.text == "abc")
            #expect(response["Transfer-Encoding"].isEmpty)
            #expect(proxy.upstream.request?.start == "GET / HTTP/1.1")
            #expect(proxy.upstream.request?["Host"] == ["127.0.0.1:\(try #require(proxy.upstream.port))"])
        }
    }

    @Test("one after the other over one connection, also if sent at once")
    func pipelined() async throws {
        try await TestProxy.with(script: TestUpstream.responding { .response(body: $0.start) }) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                let requests = (1...20).map { "PUT /\($0) HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" }
                try await connection.write(requests.joined())
                for number in 1...20 {
                    #expect(try await connection.readResponse().text == "PUT /\(number) HTTP/1.1")
                }
            }
            #expect(proxy.upstream.connections < 20)
        }
    }

    @Test("over one connection after responses of every kind")
    func reuse() async throws {
        let responses: [[UInt8]] = [
            .response(body: "a"), .message(["HTTP/1.1 204 No Content"]), .response("404 Not Found", body: "b"),
            .message(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"]) + .message(["0"]),
            .response("304 Not Modified"),
        ]
        let count = Ledger()
        let script = TestUpstream.responding { _ in responses[(count.add() - 1) % responses.count] }
        try await TestProxy.with(script: script) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                var statuses: [Int] = []
                for _ in 1...10 { statuses.append(try await connection.send("GET /").status) }
                #expect(statuses == [200, 204, 404, 200, 304, 200, 204, 404, 200, 304])
            }
            // On a busy machine, one may be given back too late for the next request.
            #expect(proxy.upstream.connections < 10)
        }
    }

    @Test("unless its method asks for a tunnel")
    func connect() async throws {
        try await TestProxy.with { proxy async throws in
            let response = try await proxy.send("CONNECT example.test:443")
            #expect(response.status == 501)
            #expect(response.text == "notSupported")
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test("unless its method is of nobody's knowledge")
    func unknownMethod() async throws {
        try await TestProxy.with { proxy async throws in
            let response = try await proxy.send("FROBNICATE /")
            #expect(response.status == 501)
            #expect(response.text == "notSupported")
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test("with the reason phrase of the upstream, and bytes that are no UTF-8")
    func byteTrue() async throws {
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            try await connection.write(
                Array("HTTP/1.1 299 Odd  but so\r\nX-Name: M".utf8) + [0xFC]
                    + Array("ller\r\nx-cASe:  a  b \r\nContent-Length: 0\r\n\r\n".utf8))
        }
        try await TestProxy.with(script: script) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                _ = try await connection.read(until: "\r\n\r\n")
                let expected =
                    Array("HTTP/1.1 299 Odd  but so\r\nX-Name: M".utf8) + [0xFC]
                    + Array("ller\r\nx-cASe:  a  b \r\nContent-Length: 0\r\n".utf8)
                #expect(connection.received.starts(with: expected))
            }
        }
    }

    @Test("with the trailers of a request")
    func requestTrailers() async throws {
        try await TestProxy.with { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(
                    .message(["PUT / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Trailer: X-Sum"])
                        + .chunks(Array("abc".utf8), of: 2) + .message(["0", "X-Sum: 7", "Via: 1.1 x"]))
                #expect(try await connection.readResponse().status == 200)
            }
            let request = try #require(proxy.upstream.request)
            #expect(request.text == "abc")
            #expect(request["Trailer"] == ["X-Sum"])
            #expect(request.trailers == ["X-Sum: 7"])
        }
    }

    @Test("unless it has passed here before")
    func loop() async throws {
        try await TestProxy.with { proxy async throws in
            let response = try await proxy.send("GET /", ["Via: 1.1 other, 1.1 proxy-1 (x)"])
            #expect(response.status == 508)
            #expect(try await proxy.send("GET /", ["Via: 1.1 other, 1.1 proxy-12"]).status == 200)
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test("through as many proxies as OPTIONS and TRACE permit")
    func maxForwards() async throws {
        try await TestProxy.with { proxy async throws in
            #expect(try await proxy.send("OPTIONS /", ["Max-Forwards: 0"]).status == 200)
            #expect(try await proxy.send("TRACE /", ["Max-Forwards: 0"]).status == 501)
            #expect(proxy.upstream.connections == 0)
            #expect(try await proxy.send("OPTIONS /", ["Max-Forwards: 7"]).status == 200)
            #expect(proxy.upstream.request?["Max-Forwards"] == ["6"])
            #expect(try await proxy.send("GET /", ["Max-Forwards: 0"]).status == 200)
        }
    }

    @Test("to a client that sends nothing more, but reads")
    func halfClosed() async throws {
        let gate = Gate()
        let script = TestUpstream.responding { request in
            await gate.pass()
            return .response(body: request.start)
        }
        try await TestProxy.with(script: script) { proxy async throws in
            for key in ["", "Idempotency-Key: k-1\r\n"] {
                let received = try await RawConnection.open(port: proxy.port) { connection in
                    try await connection.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\(key)\r\n")
                    connection.endWriting()
                    try await eventually { gate.arrivals > 0 }
                    gate.open()
                    return try await connection.readToEnd()
                }
                #expect(received.hasSuffix("POST / HTTP/1.1"))
            }
        }
    }

    @Test("with the version of HTTP that was spoken in Via, and without what HTTP/1.0 does not know")
    func oldVersion() async throws {
        try await TestProxy.with { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(
                    "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx")
                #expect(try await connection.readResponse().status == 200)
            }
            #expect(proxy.upstream.request?["Via"] == ["1.0 proxy-1"])
            #expect(proxy.upstream.request?["Expect"] == [])
        }
    }
}
