import HTTPProxy
import HTTPTestSupport
import TestSupport
import Testing

@Suite("A change of protocol")
struct UpgradeTests {
    /// Changes the protocol, and sends back what comes, in capitals.
    private static let echo: TestUpstream.Script = { connection, upstream in
        upstream.record(try #require(try await connection.readHead()))
        try await connection.write(
            .message([
                "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
                "Sec-WebSocket-Accept: x",
            ]))
        while let bytes = try await connection.take({ $0.isEmpty ? nil : $0.count }) {
            try await connection.write(String(decoding: bytes, as: UTF8.self).uppercased())
        }
    }

    private static let request = [
        "GET /chat HTTP/1.1", "Host: a", "Connection: keep-alive, Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Key: k",
    ]

    @Test("passes end to end, with what the client sends at once")
    func tunnel() async throws {
        try await TestProxy.with(script: Self.echo) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(.message(Self.request) + Array("early ".utf8))
                let head = try #require(try await connection.readHead())
                #expect(head.start == "HTTP/1.1 101 Switching Protocols")
                #expect(head["Upgrade"] == ["websocket"])
                #expect(head["Connection"] == ["upgrade"])
                #expect(head["Sec-WebSocket-Accept"] == ["x"])
                #expect(try await connection.read(until: "EARLY ").hasSuffix("EARLY "))
                for number in 1...5 {
                    try await connection.write("<m\(number)>")
                    #expect(try await connection.read(until: "<M\(number)>").hasSuffix("<M\(number)>"))
                }
                connection.endWriting()
                try await connection.readToEnd()
            }
            let request = try #require(proxy.upstream.request)
            #expect(request["Upgrade"] == ["websocket"])
            #expect(request["Connection"] == ["upgrade"])
            #expect(request["Sec-WebSocket-Key"] == ["k"])
            try await eventually { proxy.upstream.closedConnections == 1 }
        }
    }

    @Test("ends with the upstream's side, after all that it sent")
    func upstreamEnds() async throws {
        let script: TestUpstream.Script = { connection, _ in
            _ = try await connection.readHead()
            try await connection.write("HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nlast words")
        }
        try await TestProxy.with(script: script) { proxy async throws in
            let received = try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(.message(Self.request))
                return try await connection.readToEnd()
            }
            #expect(received.hasSuffix("last words"))
        }
    }

    @Test("is not asked for by a request with a body, whose rest would be taken for words of the other protocol")
    func withBody() async throws {
        try await TestProxy.with(script: Self.echo) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(.message(Self.request + ["Transfer-Encoding: chunked"]))
                // The upstream does as if it had been asked.
                for _ in 1...50 { try? await connection.write("5\r\nhello\r\n") }
                #expect(try await connection.readResponse().status == 502)
            }
            let request = try #require(proxy.upstream.request)
            #expect(request["Upgrade"].isEmpty)
        }
    }

    @Test("ends if its client closes its side at once, before the protocol has changed or after")
    func closedEarly() async throws {
        try await TestProxy.with(script: Self.echo) { proxy async throws in
            for number in 1...10 {
                try await RawConnection.open(port: proxy.port) { connection in
                    try await connection.write(.message(Self.request))
                    connection.endWriting()
                    try await connection.readToEnd()
                }
                try await eventually("The upstream is told") { proxy.upstream.closedConnections == number }
            }
        }
    }

    @Test("that the upstream refuses gets its response, and the connection ends")
    func refused() async throws {
        try await TestProxy.with(script: TestUpstream.responding { _ in .response("426 Upgrade Required", body: "no") })
        {
            proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(.message(Self.request))
                let response = try await connection.readResponse()
                #expect(response.status == 426)
                #expect(response["Connection"] == ["close"])
                #expect(try await connection.takeRest().isEmpty)
            }
        }
    }

    @Test("to HTTP/2 is not passed on: the upstream would speak it to the wrong one")
    func http2() async throws {
        try await TestProxy.with { proxy async throws in
            let response = try await proxy.send(
                "GET /", ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"])
            #expect(response.status == 200)
            #expect(proxy.upstream.request?["Upgrade"] == [])
            #expect(proxy.upstream.request?["HTTP2-Settings"] == [])
        }
    }
}
