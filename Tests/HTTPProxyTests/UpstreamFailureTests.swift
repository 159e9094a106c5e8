import HTTPProxy
import HTTPTestSupport
import NIOSSL
import RedisServerTesting
import TestSupport
import Testing

@Suite("When the upstream fails")
struct UpstreamFailureTests {
    @Test(
        "before it was reached, nothing was sent",
        arguments: ["refused", "name", "https", "silent handshake", "socket"])
    func unreachable(_ kind: String) async throws {
        let script: TestUpstream.Script = { connection, _ in try await connection.readToEnd() }
        try await TestUpstream.with(script: script) { upstream in
            let port = try #require(upstream.port)
            let address: ServerConfiguration.Upstream =
                switch kind {
                // Nobody listens there, and no other test is given this port.
                case "refused": .init(.host("127.0.0.1", port: 1), authority: "a")
                case "name": .init(.host("no-such-host.invalid", port: 81), authority: "a")
                case "socket": .init(.unixSocket(path: "/nowhere/app.sock"), authority: "a")
                default:
                    .init(
                        .host("127.0.0.1", port: port), authority: "a",
                        tls: try NIOSSLContext(configuration: .makeClientConfiguration()))
                }
            let configure = Change { $0.limits.connectTimeout = .milliseconds(500) }
            let extents = Extents()
            try await TestProxy.run(to: address, in: upstream, handle: extents.relaying, configure: configure) {
                proxy async throws in
                #expect(try await proxy.send("GET /").text == "upstreamUnreachable")
                #expect(try await proxy.pay().text == "upstreamUnreachable")
                #expect(extents.all == [.notSent])
            }
        }
    }

    @Test(
        "after it got the request, it may have been processed",
        arguments: ["closed", "reset", "nonsense", "half a head", "000 X", "099 X", "099 X with a body"])
    func lost(_ kind: String) async throws {
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            switch kind {
            case "reset": try await connection.reset()
            case "nonsense": try await connection.write("what?\r\n\r\n")
            case "000 X", "099 X": try await connection.write("HTTP/1.1 \(kind)\r\nContent-Length: 0\r\n\r\n")
            case "099 X with a body": try await connection.write("HTTP/1.1 099 X\r\nContent-Length: 2\r\n\r\nok")
            case "half a head": try await connection.write("HTTP/1.1 200 OK\r\nContent-Le")
            default: break
            }
        }
        let extents = Extents()
        try await TestProxy.with(script: script, handle: extents.relaying) { proxy async throws in
            let response = try await proxy.pay()
            #expect(response.status == 502)
            #expect(response.text == "upstreamFailed")
            #expect(extents.all == [.mayHaveBeenProcessed])
            #expect(try await proxy.send("POST /", body: "x").text == "upstreamFailed")
            #expect(proxy.upstream.requests.count == 2)
        }
    }

    @Test(
        "by saying nothing in the handshake, nothing was sent, within the time for connecting",
        arguments: [true, false])
    func silentHandshake(isHandled: Bool) async throws {
        let script: TestUpstream.Script = { connection, _ in try await connection.readToEnd() }
        try await TestUpstream.with(script: script) { upstream in
            let address = ServerConfiguration.Upstream(
                .host("127.0.0.1", port: try #require(upstream.port)), authority: "api.test",
                tls: try NIOSSLContext(configuration: .makeClientConfiguration()))
            let configure = Change { $0.limits.connectTimeout = .milliseconds(200) }
            try await TestProxy.run(to: address, in: upstream, configure: configure) { proxy async throws in
                let response = isHandled ? try await proxy.pay() : try await proxy.send("GET /")
                #expect(response.status == 502)
                #expect(response.text == "upstreamUnreachable")
                try await eventually { upstream.closedConnections == upstream.connections }
            }
        }
    }

    @Test("by keeping silent, it may have been processed", arguments: [true, false])
    func silent(isHandled: Bool) async throws {
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            try await connection.readToEnd()
        }
        try await TestProxy.with(script: script, configure: Change { $0.limits.upstreamTimeout = .milliseconds(200) }) {
            proxy async throws in
            let response = isHandled ? try await proxy.pay() : try await proxy.send("GET /")
            #expect(response.status == 504)
            #expect(response.text == "upstreamTimeout")
            try await eventually("The upstream is told") { proxy.upstream.closedConnections == 1 }
            #expect(proxy.handler.failures == [.upstreamTimeout])
        }
    }

    @Test("in the middle of a response, the client's connection is cut", arguments: [true, false])
    func brokenOff(isChunked: Bool) async throws {
        let script: TestUpstream.Script = { connection, _ in
            _ = try await connection.readMessage()
            let framing = isChunked ? "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" : "Content-Length: 9\r\n\r\nabc"
            try await connection.write("HTTP/1.1 200 OK\r\n\(framing)")
        }
        try await TestProxy.with(script: script) { proxy async throws in
            let received = try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                return try await connection.readToEnd()
            }
            // What has begun must not look like the whole.
            #expect(!received.contains("0\r\n\r\n"))
            #expect(!received.contains("Content-Length: 3"))
        }
    }

    @Test("by closing a connection that was free, the next request gets another one", arguments: [true, false])
    func closedWhileIdle(isHandled: Bool) async throws {
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            try await connection.write(.response(body: "done"))
        }
        try await TestProxy.with(script: script) { proxy async throws in
            for number in 1...20 {
                let response = isHandled ? try await proxy.pay() : try await proxy.send("POST /", body: "x")
                #expect(response.text == "done")
                try await eventually { proxy.upstream.closedConnections == number }
            }
        }
    }

    @Test(
        "by closing a connection at the next request, what is idempotent is sent once more", arguments: [true, false])
    func stale(isIdempotent: Bool) async throws {
        // Each connection serves one request, reads a second one, and closes without a word.
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            try await connection.write(.response(body: "done"))
            _ = try await connection.readHead()
        }
        try await TestProxy.with(script: script) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection async throws in
                #expect(try await connection.send("GET /").text == "done")
                let response = try await connection.send(isIdempotent ? "PUT /" : "POST /", body: "x")
                #expect(response.text == (isIdempotent ? "done" : "upstreamFailed"))
            }
            #expect(proxy.upstream.requests.count == (isIdempotent ? 2 : 1))
            #expect(proxy.upstream.requests.last?.text == (isIdempotent ? "x" : ""))
        }
    }

    @Test("to keep to one response for a request, the second is nobody's")
    func secondResponse() async throws {
        let script: TestUpstream.Script = { connection, upstream in
            while let request = try await connection.readMessage() {
                upstream.record(request)
                try await connection.write(
                    .response(body: request.start) + .response("200 OK", ["X-Evil: 1"], body: "evil"))
            }
        }
        try await TestProxy.with(script: script) { proxy async throws in
            for number in 1...5 {
                let response = try await proxy.send("GET /\(number)")
                #expect(response["X-Evil"] == [])
                #expect(response.text == "GET /\(number) HTTP/1.1")
            }
        }
    }

    @Test(
        "to say where its response ends, the response is refused",
        arguments: [
            "Content-Length: 3\r\nContent-Length: 4", "Content-Length: 3, 4", "Content-Length: -3",
            "Content-Length: 3x", "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked, identity",
            "Content-Length : 3", "X-A: 1\r\n folded", "X-A: 1\nX-B: 2",
        ])
    func ambiguousResponse(_ framing: String) async throws {
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            try await connection.write("HTTP/1.1 200 OK\r\n\(framing)\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        }
        try await TestProxy.with(script: script) { proxy async throws in
            let response = try await proxy.send("GET /")
            #expect(response.status == 502)
            #expect(response.text == "upstreamFailed")
        }
    }

    @Test("to keep to the protocol, the response is refused")
    func switching() async throws {
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            try await connection.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
            try await connection.readToEnd()
        }
        try await TestProxy.with(script: script) { proxy async throws in
            #expect(try await proxy.send("GET /").status == 502)
            #expect(try await proxy.pay(["Connection: upgrade", "Upgrade: x"]).status == 502)
            #expect(proxy.upstream.requests.allSatisfy { $0["Upgrade"].isEmpty })
        }
    }
}
