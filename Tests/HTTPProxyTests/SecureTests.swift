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
                let answer = try await client.send(.head("GET", "/a//b/../%41?", fields))
                #expect(answer.status == "200")
                #expect(answer.text == "GET /a//b/../%41? HTTP/1.1")
                #expect(answer.head?.first(name: "connection") == nil)
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

    @Test("over HTTP/2 has one host, whatever the fields say")
    func http2Host() async throws {
        try await Self.with { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                #expect(try await client.send(.head("GET", "/", [("host", "evil.test")])).status == "200")
                #expect(proxy.upstream.requests.first?["Host"] == ["api.test"])
                let odd: [(String, String)] = [
                    (":method", "GET"), (":scheme", "https"), (":authority", "a/b"), (":path", "/"),
                ]
                #expect(try await client.send(odd).status != "200")
                #expect(try await client.send(.head("GET", "/a b")).status != "200")
                #expect(try await client.send(.head("GET", "a")).status != "200")
                #expect(try await client.send(.head("GET", "*")).status != "200")
                let two = [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", "a"), ("host", "b")]
                #expect(try await client.send(two).status != "200")
                let none = [(":method", "GET"), (":scheme", "https"), (":path", "/")]
                #expect(try await client.send(none).status != "200")
                let many = (1...257).map { ("x-\($0)", "1") }
                #expect(try await client.send(.head("GET", "/", many)).status == "431")
            }
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test("over HTTP/2 is HTTPS, whatever the client says")
    func http2Scheme() async throws {
        try await Self.with { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                for scheme in ["http", #"https;for=6.6.6.6;by="x"#] {
                    let head = [(":method", "GET"), (":scheme", scheme), (":authority", "api.test"), (":path", "/")]
                    #expect(try await client.send(head).status == "200")
                }
            }
            for request in proxy.upstream.requests {
                #expect(request["X-Forwarded-Proto"] == ["https"])
                #expect(request["Forwarded"] == ["for=127.0.0.1;host=api.test;proto=https"])
            }
        }
    }

    @Test("over HTTP/2 is handled as over HTTP/1.1, with a length or without one", arguments: [true, false])
    func handled(hasLength: Bool) async throws {
        try await Self.with { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                let fields = [("idempotency-key", "k-1")] + (hasLength ? [("content-length", "3")] : [])
                let answer = try await client.send(.head("POST", "/", fields), body: "abc")
                #expect(answer.status == "200")
                #expect(answer.text == "POST / HTTP/1.1")
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

    @Test("over HTTP/2 ends a stream without its end if the upstream's answer breaks off")
    func http2BrokenOff() async throws {
        let gate = Gate()
        let script: TestUpstream.Script = { connection, _ in
            _ = try await connection.readMessage()
            try await connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            await gate.pass()
        }
        try await Self.with(script: script) { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                async let answer = client.send(.head("GET", "/"))
                try await eventually { gate.arrivals == 1 }
                gate.open()
                #expect(try await answer.error != nil)
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
                async let answer = client.send(.head("GET", "/"))
                try await eventually { gate.arrivals == 1 }
                async let end: Void = proxy.server.shutDown(drainTime: .seconds(60))
                try await eventually { client.goAways.count >= 1 }
                gate.open()
                #expect(try await answer.text == "done")
                await end
            }
        }
    }

    @Test(
        "over HTTP/2 ends with the last answer, and not before all of it has left", arguments: [true, false],
        [(1, 4), (2, 4), (1, 1 << 20), (2, 300_000)])
    func http2LastAnswers(isHandled: Bool, _ answers: (streams: Int, size: Int)) async throws {
        let gate = Gate()
        let text = String(repeating: "a", count: answers.size)
        let script = TestUpstream.responding { _ in
            await gate.pass()
            return .response(body: text)
        }
        try await Self.with(script: script) { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client in
                try await withThrowingTaskGroup(of: HTTP2Client.Response.self) { group in
                    for number in 1...answers.streams {
                        let fields = isHandled ? [("idempotency-key", "k-\(number)")] : []
                        group.addTask { try await client.send(.head("POST", "/", fields), body: "abc") }
                    }
                    try await eventually { gate.arrivals == answers.streams }
                    async let end: Void = proxy.server.shutDown(drainTime: .seconds(60))
                    try await eventually("The proxy waits only for the answers") { client.goAways.count >= 2 }
                    gate.open()
                    for try await answer in group {
                        #expect(answer.status == "200")
                        #expect(answer.body.count == answers.size)
                        #expect(answer.error == nil)
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
                    let answer = try await client.send(.head("GET", "/", fields))
                    #expect(answer.status == "200")
                    #expect(answer.head?.first(name: "x-long")?.utf8.count == size)
                    #expect(answer.text == "done")
                    #expect(answer.error == nil)
                }
                gate.open()
                #expect(try await other.text == "done")
            }
        }
    }

    @Test("over HTTP/2 knows no method in another case", arguments: ["post", "Post", "get"])
    func http2CaseOfMethod(_ method: String) async throws {
        try await Self.with { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                #expect(try await client.send(.head(method, "/")).status == "501")
                #expect(try await client.send(.head(method, "/", [("idempotency-key", "k")])).status == "501")
            }
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test(
        "over HTTP/2 refuses a field that is no UTF-8: two of them could be one", arguments: ["x-tenant", "cookie"],
        [0xFC, 0xF6] as [UInt8])
    func http2NoUTF8(_ name: String, _ byte: UInt8) async throws {
        try await Self.with { proxy, certificates in
            let tls = try Self.client(certificates.authority, protocols: ["h2"])
            try await RawConnection.open(port: proxy.port) { channel in
                try channel.pipeline.syncOperations.addHandler(
                    NIOSSLClientHandler(context: tls, serverHostname: "localhost"))
            } _: { connection async throws in
                let value = Array("M".utf8) + [byte] + Array("ller".utf8)
                let key = Array("idempotency-key".utf8)
                // GET, https, /, `:authority: a`, then literal fields (RFC 7541, section 6.2.2).
                let block: [UInt8] =
                    [0x82, 0x87, 0x84, 0x01, 1, UInt8(ascii: "a"), 0, UInt8(key.count)] + key + [1, UInt8(ascii: "k")]
                    + [0, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.count)] + value
                try await connection.write(
                    Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + Self.frame(type: 4, flags: 0, stream: 0, [])
                        + Self.frame(type: 1, flags: 5, stream: 1, block))
                var head: [UInt8]?
                while head == nil, let (type, payload) = try await Self.readFrame(connection) {
                    if type == 1 { head = payload }
                }
                // `:status: 400` of the static table.
                #expect(head?.first == 0x8C)
            }
            #expect(proxy.upstream.connections == 0)
        }
    }

    private static func frame(type: UInt8, flags: UInt8, stream: UInt8, _ payload: [UInt8]) -> [UInt8] {
        [0, 0, UInt8(payload.count), type, flags, 0, 0, 0, stream] + payload
    }

    private static func readFrame(_ connection: RawConnection) async throws -> (type: UInt8, payload: [UInt8])? {
        let frame = try await connection.take { bytes in
            let head = Array(bytes.prefix(9))
            guard head.count == 9 else { return nil }
            let size = 9 + Int(head[0]) << 16 + Int(head[1]) << 8 + Int(head[2])
            return bytes.count >= size ? size : nil
        }
        return frame.map { ($0[3], Array($0.dropFirst(9))) }
    }

    @Test("over HTTP/2 refuses a malformed request alone, and goes on with the others")
    func http2Malformed() async throws {
        let start = [(":method", "GET"), (":scheme", "https"), (":authority", "api.test"), (":path", "/")]
        try await Self.with { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                let malformed: [[(String, String)]] = [
                    start + [("X-Upper", "1")], start + [("transfer-encoding", "chunked")],
                    start + [("connection", "close")], start + [(":path", "/b")],
                    start + [("x-a", "1"), (":late", "1")],
                    start + [("x-a", "a\u{0}b")], start + [("x-a", "a\nb")], start + [("x a", "b")],
                ]
                for head in malformed { #expect(try await client.send(head).status == "400", "\(head)") }
                #expect(try await client.send(.head("GET", "/")).status == "200")
            }
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test(
        "over HTTP/2 refuses malformed trailers before the upstream takes the request for whole",
        arguments: [true, false])
    func http2MalformedTrailers(isHandled: Bool) async throws {
        let smuggled = "1\r\n\r\nPOST /payments HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        let malformed: [[(String, String)]] = [
            [("x", smuggled)], [("x: 1\r\n\r\nGET /other HTTP/1.1\r\nx", "1")], [("X-Upper", "1")],
            [(":path", "/other")], [("x-a", "a\u{0}b")],
        ]
        let script: TestUpstream.Script = { connection, upstream in
            // The whole of it, or nothing.
            guard let message = try? await connection.readMessage() else { return }
            upstream.record(message)
            try await connection.write(.response())
        }
        try await Self.with(script: script) { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                let fields = isHandled ? [("idempotency-key", "k")] : []
                for trailers in malformed {
                    let response = try await client.send(.head("POST", "/", fields), body: "abc", trailers: trailers)
                    #expect(response.status == "400", "\(trailers)")
                }
                #expect(proxy.upstream.requests.isEmpty)
                let response = try await client.send(
                    .head("POST", "/", fields), body: "abc",
                    trailers: [("x-sum", "7"), ("content-length", "9"), ("via", "other")])
                #expect(response.status == "200")
            }
            #expect(proxy.upstream.requests.map(\.trailers) == [["x-sum: 7"]])
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
