import HTTPProxy
import HTTPTestSupport
import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOSSL
import RedisServerTesting
import TestSupport
import Testing

@Suite("HTTPS")
struct SecureTests {
    static func with(
        script: @escaping TestUpstream.Script = TestUpstream.responding { .response(body: $0.start) },
        configure change: Change = Change { _ in },
        _ body: (TestProxy, TestCertificates) async throws -> Void
    ) async throws {
        try await TestCertificates.with { certificates in
            let chain = try NIOSSLCertificate.fromPEMFile(certificates.server.certificate)
            let key = try NIOSSLPrivateKey(file: certificates.server.key, format: .pem)
            var tls = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            tls.applicationProtocols = NIOHTTP2SupportedALPNProtocols
            let context = try NIOSSLContext(configuration: tls)
            let configure = Change {
                $0.tls = { context }
                try change.apply(&$0)
            }
            try await TestProxy.with(script: script, configure: configure) { try await body($0, certificates) }
        }
    }

    static func client(_ authority: String, protocols: [String] = []) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.applicationProtocols = protocols
        configuration.trustRoots = .file(authority)
        return try NIOSSLContext(configuration: configuration)
    }

    @Test("is spoken in HTTP/1.1 by those who know no other")
    func http1() async throws {
        try await Self.with { proxy, certificates in
            let tls = try Self.client(certificates.authority)
            try await RawConnection.open(port: proxy.port) { channel in
                try channel.pipeline.syncOperations.addHandler(
                    NIOSSLClientHandler(context: tls, serverHostname: "localhost"))
            } _: { connection async throws in
                #expect(try await connection.send("GET /a").text == "GET /a HTTP/1.1")
                #expect(try await connection.send("GET /b").text == "GET /b HTTP/1.1")
                let refused = try await connection.send("GET /c", ["X A: 1"])
                #expect(refused.status == 400)
            }
            #expect(proxy.upstream.requests.first?["X-Forwarded-Proto"] == ["https"])
            #expect(proxy.upstream.requests.first?["Via"] == ["1.1 proxy-1"])
        }
    }

    @Test("is spoken in HTTP/2: the authority becomes the host, cookies become one field")
    func http2() async throws {
        try await Self.with { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                let fields = [
                    ("x-b", "2"), ("cookie", "a=1"), ("x-a", "1"), ("cookie", "b=2"), ("x-b", "3"), ("te", "trailers"),
                ]
                let response = try await client.send(.head("GET", "/a//b/../%41?", fields))
                #expect(response.status == "200")
                #expect(response.text == "GET /a//b/../%41? HTTP/1.1")
                #expect(response.head?.first(name: "connection") == nil)
            }
            let request = try #require(proxy.upstream.request)
            #expect(request["Host"] == ["api.test"])
            #expect(request["Cookie"] == ["a=1; b=2"])
            #expect(request.fields.filter { $0.hasPrefix("x-") } == ["x-b: 2", "x-a: 1", "x-b: 3"])
            #expect(request["TE"] == [])
            #expect(request["Transfer-Encoding"] == [])
            #expect(request["Via"] == ["2.0 proxy-1"])
            #expect(request["X-Forwarded-Proto"] == ["https"])
            #expect(request["X-Forwarded-Host"] == ["api.test"])
        }
    }

    @Test("over HTTP/2 is handled as over HTTP/1.1, with a length or without one", arguments: [true, false])
    func handled(hasLength: Bool) async throws {
        try await Self.with { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                let fields = [("idempotency-key", "k-1")] + (hasLength ? [("content-length", "3")] : [])
                let response = try await client.send(.head("POST", "/", fields), body: "abc")
                #expect(response.status == "200")
                #expect(response.text == "POST / HTTP/1.1")
            }
            #expect(proxy.upstream.request?.text == "abc")
            #expect(proxy.upstream.request?["Content-Length"] == ["3"])
        }
    }

    @Test("over HTTP/2 streams both ways")
    func http2Streams() async throws {
        let gate = Gate()
        let script: TestUpstream.Script = { connection, _ in
            _ = try await connection.readHead()
            while let chunk = try await connection.readChunk() {
                if chunk == Array("<1>".utf8) {
                    try await connection.write(.message(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"]))
                }
                try await connection.write(.chunks(chunk, of: 1_000))
            }
            gate.open()
            try await connection.write(.message(["0", "X-Sum: 7"]))
        }
        try await Self.with(script: script) { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                try await client.open(.head("PUT", "/"), endStream: false) { _, outbound, inbound in
                    var frames = inbound.makeAsyncIterator()
                    var received = ""
                    for number in 1...5 {
                        try await outbound.write(.data("<\(number)>", endStream: false))
                        while !received.contains("<\(number)>") {
                            let frame = try #require(try await frames.next())
                            guard case .data(let data) = frame, case .byteBuffer(let bytes) = data.data else {
                                continue
                            }
                            received += String(buffer: bytes)
                        }
                    }
                    try await outbound.write(.data("", endStream: true))
                    await gate.pass()
                    var trailers: String?
                    while let frame = try await frames.next() {
                        if case .headers(let headers) = frame { trailers = headers.headers.first(name: "x-sum") }
                    }
                    #expect(trailers == "7")
                }
            }
        }
    }

    @Test(
        "over HTTP/2 never passes half of a body on as the whole", arguments: ["stream", "connection"], [true, false])
    func http2HalfBody(_ what: String, isHandled: Bool) async throws {
        let script: TestUpstream.Script = { connection, upstream in
            _ = try await connection.readHead()
            upstream.record(WireMessage(body: (try? await connection.takeRest()) ?? []))
        }
        try await Self.with(script: script) { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                let fields = isHandled ? [("idempotency-key", "k-1")] : []
                _ = try? await client.open(.head("POST", "/", fields), endStream: false) { stream, outbound, _ in
                    try await outbound.write(.data("hello", endStream: false))
                    if !isHandled { try await eventually { proxy.upstream.connections == 1 } }
                    if what == "stream" {
                        try await outbound.write(.rstStream(.cancel))
                    } else {
                        try await client.channel.close()
                    }
                    try? await stream.closeFuture.get()
                }
            }
            await proxy.server.shutDown(drainTime: .seconds(60))
            #expect(proxy.upstream.connections == (isHandled ? 0 : 1))
            try await eventually { proxy.upstream.closedConnections == proxy.upstream.connections }
            #expect(proxy.upstream.requests.allSatisfy { !$0.text.contains("0\r\n\r\n") })
        }
    }

    @Test(
        "over HTTP/2 cancels at the upstream what a client cancels and is not handled",
        arguments: ["stream", "connection"])
    func http2Departure(_ what: String) async throws {
        let gate = Gate()
        let script: TestUpstream.Script = { connection, upstream in
            _ = try await connection.readMessage()
            gate.open()
            try await connection.readToEnd()
        }
        try await Self.with(script: script) { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                try await client.open(.head("GET", "/"), endStream: true) { _, outbound, _ in
                    await gate.pass()
                    if what == "stream" {
                        try await outbound.write(.rstStream(.cancel))
                    } else {
                        try await client.channel.close()
                    }
                    try await eventually("The upstream is told") { proxy.upstream.closedConnections == 1 }
                }
            }
        }
    }

    @Test("over HTTP/2 ends a stream without its end if the upstream's response breaks off")
    func http2BrokenOff() async throws {
        let gate = Gate()
        let script: TestUpstream.Script = { connection, _ in
            _ = try await connection.readMessage()
            try await connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            await gate.pass()
        }
        try await Self.with(script: script) { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                async let response = client.send(.head("GET", "/"))
                try await eventually { gate.arrivals == 1 }
                gate.open()
                #expect(try await response.error != nil)
            }
        }
    }

    @Test("over HTTP/2 finishes what is under way before a shutdown")
    func http2Shutdown() async throws {
        let gate = Gate()
        let script = TestUpstream.responding { _ in
            await gate.pass()
            return .response(body: "done")
        }
        try await Self.with(script: script) { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                async let response = client.send(.head("GET", "/"))
                try await eventually { gate.arrivals == 1 }
                async let end: Void = proxy.server.shutDown(drainTime: .seconds(60))
                try await eventually { client.goAways.count >= 1 }
                gate.open()
                #expect(try await response.text == "done")
                await end
            }
        }
    }

    @Test(
        "over HTTP/2 ends with the last response, and not before all of it has left", arguments: [true, false],
        [(1, 4), (2, 4), (1, 1 << 20), (2, 300_000)])
    func http2LastResponses(isHandled: Bool, _ responses: (streams: Int, size: Int)) async throws {
        let gate = Gate()
        let text = String(repeating: "a", count: responses.size)
        let script = TestUpstream.responding { _ in
            await gate.pass()
            return .response(body: text)
        }
        try await Self.with(script: script) { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client in
                try await withThrowingTaskGroup(of: HTTP2Client.Response.self) { group in
                    for number in 1...responses.streams {
                        let fields = isHandled ? [("idempotency-key", "k-\(number)")] : []
                        group.addTask { try await client.send(.head("POST", "/", fields), body: "abc") }
                    }
                    try await eventually { gate.arrivals == responses.streams }
                    async let end: Void = proxy.server.shutDown(drainTime: .seconds(60))
                    try await eventually("The proxy waits only for the responses") { client.goAways.count >= 2 }
                    gate.open()
                    for try await response in group {
                        #expect(response.status == "200")
                        #expect(response.body.count == responses.size)
                        #expect(response.error == nil)
                    }
                    await end
                }
            }
        }
    }

    @Test("over HTTP/2 ends with a client that is idle and does not react to GOAWAY, whatever else it says")
    func http2Unresponsive() async throws {
        try await Self.with(configure: Change { $0.limits.idleTimeout = .milliseconds(500) }) { proxy, certificates in
            let tls = try Self.client(certificates.authority, protocols: ["h2"])
            let end = Ledger()
            // How the connection ends, in the middle of the client's words, is another matter.
            try? await RawConnection.open(port: proxy.port) { channel in
                try channel.pipeline.syncOperations.addHandler(
                    NIOSSLClientHandler(context: tls, serverHostname: "localhost"))
            } _: { connection in
                let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]
                let ping: [UInt8] = [0, 0, 8, 6, 0, 0, 0, 0, 0] + Array("whatever".utf8)
                try? await connection.write(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + settings)
                _ = try? await connection.read(until: "\0\0\u{8}\u{7}")
                try? await connection.write(ping)
                try await eventually("The proxy gives up") { !connection.channel.isActive }
                end.add()
            }
            #expect(end.count == 1)
        }
    }

    @Test("over HTTP/2 passes heads that are larger than a frame, while other streams live", arguments: [true, false])
    func http2LargeHeads(isHandled: Bool) async throws {
        let gate = Gate()
        let script = TestUpstream.responding { request in
            if request.start.contains("/waiting") { await gate.pass() }
            let size = request["X-Size"].first.flatMap { Int($0) } ?? 0
            return .response("200 OK", ["X-Long: \(String(repeating: "x", count: size))"], body: "done")
        }
        try await Self.with(script: script) { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                let key = isHandled ? [("idempotency-key", "k-1")] : []
                async let other = client.send(.head("GET", "/waiting"))
                try await eventually { gate.arrivals == 1 }
                for size in [10, 14_000, 30_000, 60_000, 200_000, 10] {
                    let fields = [("x-size", "\(size)"), ("x-long", String(repeating: "y", count: 14_000))] + key
                    let response = try await client.send(.head("GET", "/", fields))
                    #expect(response.status == "200")
                    #expect(response.head?.first(name: "x-long")?.utf8.count == size)
                    #expect(response.text == "done")
                    #expect(response.error == nil)
                }
                gate.open()
                #expect(try await other.text == "done")
            }
        }
    }

    @Test("over HTTP/2 gives up a client that takes nothing of a response, however small", arguments: [1_000, 1 << 20])
    func http2StalledReader(size: Int) async throws {
        let script = TestUpstream.responding { _ in .response("200 OK", [], bytes: [UInt8](repeating: 7, count: size)) }
        try await Self.with(script: script, configure: Change { $0.limits.gapTimeout = .seconds(1) }) {
            proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority, initialWindow: 0) {
                client in
                _ = try? await client.open(.head("GET", "/"), endStream: true) { stream, _, _ in
                    try await eventually("The proxy gives up") { !stream.isActive }
                }
            }
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test("over HTTP/2 waits for a client that takes a response slowly, however small its window")
    func http2SlowReader() async throws {
        let size = 60_000
        let script = TestUpstream.responding { request in
            request.start.contains("/empty")
                ? .response() : .response("200 OK", [], bytes: [UInt8](repeating: 7, count: size))
        }
        try await Self.with(script: script, configure: Change { $0.limits.gapTimeout = .seconds(2) }) {
            proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority, initialWindow: 2_000) {
                client in
                // SwiftNIO's client forgets to open the window of a stream that is older than the reply to its settings.
                _ = try await client.send(.head("GET", "/empty"))
                try await client.open(.head("GET", "/"), endStream: true) { _, _, inbound in
                    var received = 0
                    for try await case .data(let frame) in inbound {
                        received += frame.data.readableBytes
                        // Longer than the timeout in all.
                        try await Task.sleep(for: .milliseconds(100))
                    }
                    #expect(received == size)
                }
            }
        }
    }

    @Test("over HTTP/2 says GOAWAY to a client that is idle, and ends")
    func http2Idle() async throws {
        try await Self.with(configure: Change { $0.limits.idleTimeout = .seconds(2) }) { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                #expect(try await client.send(.head("GET", "/")).status == "200")
                try await client.channel.closeFuture.get()
                #expect(client.goAways.count >= 1)
            }
        }
    }
}
