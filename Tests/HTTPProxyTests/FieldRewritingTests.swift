import HTTPProxy
import HTTPTestSupport
import TestSupport
import Testing

@Suite("What the proxy changes of the header")
struct FieldRewritingTests {
    private static let own = ["Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"]

    @Test("drops the fields of the client's connection, and those that it names")
    func hopByHopOfRequest() async throws {
        let fields = [
            "X-A: 1", "Connection: X-Hop, keep-alive", "connection: \"q\", x-other ,, ", "X-Hop: 1", "x-hop: 2",
            "X-Other: 1",
            "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "TE: trailers", "Upgrade: h2c", "X-B: 1",
        ]
        try await TestProxy.with { proxy async throws in
            #expect(try await proxy.send("GET /", fields).text == "")
            let request = try #require(proxy.upstream.request)
            #expect(
                request.fields(without: "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded")
                    == ["Host: api.test", "X-A: 1", "X-B: 1"])
        }
    }

    @Test("drops the fields of the upstream's connection, and those that it names")
    func hopByHopOfResponse() async throws {
        let fields = [
            "X-A: 1", "Connection: X-Hop, keep-alive", "Connection: x-other", "X-Hop: 1", "x-other: 1",
            "Keep-Alive: timeout=5",
            "Proxy-Connection: keep-alive", "Upgrade: h2c", "X-B: 1", "Via: 1.1 inner",
        ]
        try await TestProxy.with(script: TestUpstream.responding { _ in .response("200 OK", fields, body: "x") }) {
            proxy async throws in
            for response in [try await proxy.send("GET /"), try await proxy.pay()] {
                #expect(response.fields.filter { $0.hasPrefix("X-A") || $0.hasPrefix("X-B") } == ["X-A: 1", "X-B: 1"])
                #expect(response["Via"] == ["1.1 inner"])
                for name in ["Connection", "X-Hop", "X-Other", "Keep-Alive", "Proxy-Connection", "Upgrade"] {
                    #expect(response[name] == [], "\(name)")
                }
            }
        }
    }

    @Test("does not drop what only the end of the way may read, whoever names it")
    func endToEnd() async throws {
        try await TestProxy.with { proxy async throws in
            // A client must not be able to take away what the proxy adds.
            _ = try await proxy.send(
                "GET /", ["Connection: Via, X-Forwarded-For, Forwarded, X-Forwarded-Proto, X-Forwarded-Host, Host"])
            let request = try #require(proxy.upstream.request)
            for name in Self.own { #expect(request[name].count == 1, "\(name)") }
            #expect(request["Host"].count == 1)
        }
    }

    @Test("says where the request came from, and believes nobody else about it")
    func forwardedReplaced() async throws {
        let lies = [
            "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "x-forwarded-host: evil.test",
            "Forwarded: for=1.2.3.4",
            "X-Forwarded-For: 5.6.7.8", "Via: 1.0 before", "Via: 1.1 between",
        ]
        try await TestProxy.with { proxy async throws in
            _ = try await proxy.send("GET /", lies)
            let request = try #require(proxy.upstream.request)
            #expect(request["X-Forwarded-For"] == ["127.0.0.1"])
            #expect(request["X-Forwarded-Proto"] == ["http"])
            #expect(request["X-Forwarded-Host"] == ["api.test"])
            #expect(request["Forwarded"] == ["for=127.0.0.1;host=api.test;proto=http"])
            #expect(request["Via"] == ["1.0 before, 1.1 between, 1.1 proxy-1"])
        }
    }

    @Test("lets nobody say in another spelling what only the proxy may say", arguments: [true, false])
    func imitations(isExtending: Bool) async throws {
        let lies = [
            "X_Forwarded_For: 1.2.3.4", "x-forwarded_proto: https", "X_Idempotency_Attempt: 7", "forwarded_: a",
            "X_A: 1",
        ]
        let configure = Change {
            $0.rewriting.forwarded = isExtending ? .extended : .replaced
            $0.rewriting.ownedFields = ["x-idempotency-attempt"]
        }
        try await TestProxy.with(configure: configure) { proxy async throws in
            _ = try await proxy.send("GET /", lies)
            let names = try #require(proxy.upstream.request).fields.compactMap { $0.split(separator: ":").first }
            #expect(names.filter { $0.contains("_") } == ["forwarded_", "X_A"])
        }
    }

    @Test("adds to what a proxy in front says, if it is to be believed")
    func forwardedExtended() async throws {
        let before = [
            "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: public.test",
            "Forwarded: for=1.2.3.4",
            "X-Forwarded-For: 5.6.7.8",
        ]
        try await TestProxy.with(configure: Change { $0.rewriting.forwarded = .extended }) { proxy async throws in
            _ = try await proxy.send("GET /", before)
            let request = try #require(proxy.upstream.request)
            #expect(request["X-Forwarded-For"] == ["1.2.3.4, 5.6.7.8, 127.0.0.1"])
            #expect(request["X-Forwarded-Proto"] == ["https"])
            #expect(request["X-Forwarded-Host"] == ["public.test"])
            #expect(request["Forwarded"] == ["for=1.2.3.4, for=127.0.0.1;host=api.test;proto=http"])
        }
    }

    @Test("quotes a host with a port")
    func quotedHost() async throws {
        try await TestProxy.with { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n")
                _ = try await connection.readResponse()
            }
            #expect(proxy.upstream.request?["Forwarded"] == ["for=127.0.0.1;host=\"[::1]:8080\";proto=http"])
        }
    }

    @Test("tells the upstream its own name, if that is what it listens to")
    func hostOfUpstream() async throws {
        try await TestProxy.with(configure: Change { $0.rewriting.host = .upstream }) { proxy async throws in
            _ = try await proxy.send("GET /")
            let port = try #require(proxy.upstream.port)
            #expect(proxy.upstream.request?["Host"] == ["127.0.0.1:\(port)"])
            #expect(proxy.upstream.request?["X-Forwarded-Host"] == ["api.test"])
        }
    }
}
