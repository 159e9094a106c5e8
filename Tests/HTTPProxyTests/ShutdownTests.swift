import HTTPProxy
import HTTPTestSupport
import NIOCore
import NIOSSL
import NIOTLS
import RedisServerTesting
import TestSupport
import Testing

@Suite("A shutdown")
struct ShutdownTests {
    @Test("waits for what is under way, handled or not")
    func graceful() async throws {
        let gate = Gate()
        let script = TestUpstream.responding { request in
            await gate.pass()
            return .response(body: request.start)
        }
        try await TestProxy.with(script: script) { proxy async throws in
            async let handled = proxy.pay()
            async let forwarded = proxy.send("GET /")
            try await eventually { gate.arrivals == 2 }
            async let end: Void = proxy.server.shutDown(drainTime: .seconds(3_600))
            try await eventually("Nobody is let in any more") {
                (try? await RawConnection.open(port: proxy.port) { _ in true }) == nil
            }
            gate.open()
            let responses = (try await handled, try await forwarded)
            #expect(responses.0.text == "POST /charges HTTP/1.1")
            #expect(responses.1.text == "GET / HTTP/1.1")
            #expect(responses.0["Connection"] == ["close"])
            await end
        }
    }

    @Test("does not wait for clients that are connected and silent")
    func idleClients() async throws {
        try await TestProxy.with { proxy async throws in
            try await RawConnection.open(port: proxy.port) { used in
                _ = try await used.send("GET /")
                try await RawConnection.open(port: proxy.port) { unused in
                    async let end: Void = proxy.server.shutDown(drainTime: .seconds(3_600))
                    _ = try? await used.readToEnd()
                    _ = try? await unused.readToEnd()
                    used.endWriting()
                    unused.endWriting()
                    await end
                }
            }
        }
    }

    /// Clients that are connected over TLS, say no more, and take nothing of what comes.
    enum Silence: String, CaseIterable {
        case beforeHandshake, http1, http2
    }

    @Test("does not wait for clients of TLS that neither read nor close", arguments: Silence.allCases)
    func silentClients(_ silence: Silence) async throws {
        let configure = Change {
            $0.limits.idleTimeout = .seconds(3_600)
            $0.limits.gapTimeout = .seconds(3_600)
        }
        try await SecureTests.with(configure: configure) { proxy, certificates in
            let tls = try SecureTests.client(
                certificates.authority, protocols: silence == .http2 ? ["h2"] : ["http/1.1"])
            let channel = try await RawConnection.connect(port: proxy.port)
            if silence != .beforeHandshake {
                try await channel.eventLoop.submit {
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOSSLClientHandler(context: tls, serverHostname: "localhost"), ReadingStopper(),
                    ])
                    channel.setOption(.autoRead, value: true).whenComplete { _ in }
                }.get()
                try await eventually { try await !channel.getOption(.autoRead).get() }
            }
            if silence == .http2 {
                try await channel.writeAndFlush(ByteBuffer(bytes: WireFrame.greeting + WireFrame(.settings).bytes))
            }
            try await eventually { await !proxy.server.isIdle() }
            await proxy.server.shutDown(drainTime: .seconds(3_600))
            try? await channel.close()
        }
    }

    @Test("is bounded: what the upstream still holds gets 502", arguments: [true, false])
    func bounded(isHandled: Bool) async throws {
        let gate = Gate()
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            gate.open()
            try await connection.readToEnd()
        }
        try await TestProxy.with(script: script) { proxy async throws in
            async let running = isHandled ? proxy.pay() : proxy.send("GET /")
            await gate.pass()
            async let end: Void = proxy.server.shutDown(drainTime: .milliseconds(50), lastTime: .seconds(60))
            let response = try await running
            #expect(response.status == 502)
            #expect(response.text == "upstreamFailed")
            await end
        }
    }

    @Test(
        "is bounded also for clients that stall, in the middle of a body or of a response",
        arguments: ["body", "response"])
    func stalledClients(_ where: String) async throws {
        let gate = Gate()
        let script: TestUpstream.Script = { connection, _ in
            _ = try await connection.readHead()
            gate.open()
            if `where` == "response" {
                try await connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                while true { try await connection.write(.chunks([UInt8](repeating: 7, count: 65_536), of: 65_536)) }
            }
            try await connection.readToEnd()
        }
        try await TestProxy.with(script: script) { proxy async throws in
            try await proxy.openWithoutReading { channel in
                let request =
                    `where` == "body"
                    ? "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na" : "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
                try await channel.writeAndFlush(ByteBuffer(string: request))
                await gate.pass()
                await proxy.server.shutDown(drainTime: .milliseconds(50), lastTime: .milliseconds(50))
            }
        }
    }

    @Test("waits for a client that takes the last of a response slowly")
    func slowReader() async throws {
        let size = 8 << 20
        let script = TestUpstream.responding { _ in .response("200 OK", [], bytes: [UInt8](repeating: 7, count: size)) }
        try await TestProxy.with(script: script) { proxy async throws in
            try await RawConnection.open(port: proxy.port, configure: RawConnection.takesLittle) { connection in
                try await connection.post("/charges", host: "api.test", key: "k-1", body: #"{"amount":5}"#)
                _ = try #require(try await connection.readHead())
                async let end: Void = proxy.server.shutDown(drainTime: .seconds(3_600))
                try await eventually("Nobody is let in any more") {
                    (try? await RawConnection.open(port: proxy.port) { _ in true }) == nil
                }
                #expect(try await connection.takeRest().count == size)
                connection.endWriting()
                await end
            }
        }
    }
}

/// Reads until the handshake is over, and no more.
private final class ReadingStopper: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent {
            context.channel.setOption(.autoRead, value: false).whenComplete { _ in }
        }
        context.fireUserInboundEventTriggered(event)
    }
}
