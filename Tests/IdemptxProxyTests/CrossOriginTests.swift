import HTTPTestSupport
import Idemptx
import IdemptxProxy
import NIOHPACK
import RedisServerTesting
import TestSupport
import Testing

@Suite("A page of another origin")
struct CrossOriginTests {
    private static let shop = "https://shop.example"
    private static let back = "http://localhost:3000"
    private static var listed: Change { Change { $0.corsOrigins = [Self.shop, "HTTP://localhost:3000"] } }

    private static let ofUpstream = [
        "Access-Control-Allow-Origin: *", "access-control-expose-headers: X-Upstream", "X-A: 1",
        "Access-Control-Max-Age: 1", "Vary: Accept",
    ]
    private static let script = TestUpstream.responding { _ in .response("201 Created", Self.ofUpstream, body: "done") }

    /// All that a response says about CORS, and only once.
    private static func fields(of response: WireMessage) -> [String: String] {
        let fields = response.fields.filter { $0.lowercased().hasPrefix("access-control-") }
        let pairs = fields.map { field in
            let parts = field.split(separator: ":", maxSplits: 1).map { $0.drop { $0 == " " } }
            return (parts[0].lowercased(), String(parts[1]))
        }
        return Dictionary(pairs) { "\($0) AND \($1)" }
    }

    private static func expect(_ response: WireMessage, isFor origin: String) {
        let fields = Self.fields(of: response)
        #expect(fields.keys.sorted() == ["access-control-allow-origin", "access-control-expose-headers"])
        #expect(fields["access-control-allow-origin"] == origin)
        let exposed = fields["access-control-expose-headers"]?.split(separator: ",").map { $0.drop { $0 == " " } } ?? []
        for name in [
            "Idempotency-Key", "Idempotent-Replayed", "X-Idempotency-Status", "X-Idempotency-Signature", "Retry-After",
            "Location",
        ] {
            #expect(exposed.contains(name[...]), "\(name)")
        }
        #expect(response["Vary"].contains("Origin"))
    }

    @Test("is told by the proxy what it may send, before it does")
    func preflight() async throws {
        try await TestProxy.with(configure: Self.listed) { proxy in
            let asked = [
                "Access-Control-Request-Method: POST",
                "Access-Control-Request-Headers: content-type,idempotency-key",
            ]
            for origin in [Self.shop, Self.back] {
                let response = try await proxy.send("OPTIONS /charges", ["Origin: \(origin)"] + asked)
                #expect(response.status == 204)
                let fields = Self.fields(of: response)
                #expect(fields["access-control-allow-origin"] == origin)
                #expect(fields["access-control-allow-methods"]?.contains("POST") == true)
                #expect(fields["access-control-allow-headers"] == "content-type,idempotency-key")
                #expect(fields["access-control-max-age"] == "600")
                #expect(fields["access-control-allow-credentials"] == nil)
                #expect(
                    response["Vary"] == ["Origin", "Access-Control-Request-Method, Access-Control-Request-Headers"])
            }
            #expect(proxy.upstream.requests.isEmpty)
        }
    }

    @Test("that is not listed is told nothing, and its request passes", arguments: ["https://evil.example", "null"])
    func unlisted(_ origin: String) async throws {
        try await TestProxy.with(script: Self.script, configure: Self.listed) { proxy async throws in
            let asked = ["Origin: \(origin)", "Access-Control-Request-Method: POST"]
            let responses = [
                try await proxy.send("OPTIONS /charges", asked), try await proxy.send("GET /", ["Origin: \(origin)"]),
                try await proxy.pay("k-1", ["Origin: \(origin)"]), try await proxy.pay("k-1", ["Origin: \(origin)"]),
                try await proxy.send("GET /"),
            ]
            for response in responses {
                #expect(Self.fields(of: response).isEmpty)
                #expect(response["Vary"].contains("Origin"))
                #expect(response.status == 201)
                #expect(response["X-A"] == ["1"])
            }
            #expect(proxy.upstream.requests.count == 4)
        }
    }

    @Test("is named in every response: forwarded, guarded, replayed to another page, and the proxy's own")
    func everyResponse() async throws {
        try await TestProxy.with(
            script: Self.script,
            configure: Change {
                try Self.listed.apply(&$0)
                $0.limits.maxBodySize = 1000
            }
        ) { proxy async throws in
            let shop = ["Origin: \(Self.shop)"]
            let forwarded = try await proxy.send("GET /", shop)
            #expect(forwarded.fields.contains("X-A: 1"))
            #expect(forwarded["Vary"] == ["Accept", "Origin"])
            let first = try await proxy.pay("k-1", shop)
            #expect(first["X-Idempotency-Status"] == ["new"])
            let replay = try await proxy.pay("k-1", ["Origin: \(Self.back)"])
            #expect(replay["X-Idempotency-Status"] == ["hit"])
            #expect(replay["Vary"] == ["Accept", "Origin"])
            Self.expect(replay, isFor: Self.back)
            let reused = try await proxy.pay("k-1", amount: 6, shop)
            #expect(reused.status == 422)
            let tooLarge = try await proxy.send("POST /", shop, body: String(repeating: "x", count: 1001))
            #expect(tooLarge.status == 413)
            let unsupported = try await proxy.send("CONNECT a.test:1", shop)
            #expect(unsupported.status == 501)
            for response in [forwarded, first, reused, tooLarge, unsupported] {
                Self.expect(response, isFor: Self.shop)
            }
        }
    }

    @Test("is named when the upstream cannot be reached, and when its response breaks off")
    func upstreamFails() async throws {
        let script: TestUpstream.Script = { connection, _ in _ = try await connection.readMessage() }
        try await TestProxy.with(script: script, configure: Self.listed) { proxy async throws in
            let shop = ["Origin: \(Self.shop)"]
            for response in [try await proxy.send("POST /", shop), try await proxy.pay("k-1", shop)] {
                #expect(response.status == 502)
                Self.expect(response, isFor: Self.shop)
            }
        }
    }

    @Test("can send cookies if the operator says so")
    func credentials() async throws {
        let configure = Change {
            $0.corsOrigins = [Self.shop]
            $0.corsAllowsCredentials = true
        }
        try await TestProxy.with(configure: configure) { proxy async throws in
            let asked = ["Origin: \(Self.shop)", "Access-Control-Request-Method: POST"]
            for response in [
                try await proxy.send("OPTIONS /", asked), try await proxy.pay("k-1", ["Origin: \(Self.shop)"]),
            ] {
                #expect(response["Access-Control-Allow-Credentials"] == ["true"])
                #expect(response["Access-Control-Allow-Origin"] == [Self.shop])
            }
        }
    }

    @Test("is the upstream's business alone if the proxy has no list")
    func noList() async throws {
        try await TestProxy.with(script: Self.script) { proxy async throws in
            let shop = ["Origin: \(Self.shop)"]
            let responses = [
                try await proxy.send("OPTIONS /", shop + ["Access-Control-Request-Method: POST"]),
                try await proxy.pay("k-1", shop), try await proxy.pay("k-1", shop),
            ]
            for response in responses {
                #expect(response.fields.filter(Self.ofUpstream.contains) == Self.ofUpstream)
            }
            #expect(responses.last?["Idempotent-Replayed"] == ["true"])
            #expect(proxy.upstream.requests.count == 2)
        }
    }

    @Test("is not recorded: a proxy without a list replays what the upstream said, but nothing about pages")
    func unrecorded() async throws {
        let store = MemoryStore()
        try await TestProxy.with(store: store, script: Self.script, configure: Self.listed) { proxy async throws in
            _ = try await proxy.pay("k-1", ["Origin: \(Self.shop)"])
        }
        try await TestProxy.with(store: store, script: Self.script) { proxy async throws in
            let replay = try await proxy.pay("k-1", ["Origin: \(Self.shop)"])
            #expect(replay["Idempotent-Replayed"] == ["true"])
            #expect(Self.fields(of: replay).isEmpty)
            #expect(replay["X-A"] == ["1"])
            #expect(replay["Vary"] == ["Accept"])
        }
    }

    @Test("is named over HTTP/2 as well")
    func http2() async throws {
        try await TestCertificates.with { certificates in
            let configure = Change {
                $0.certificate = ServerCertificate(
                    chainPath: certificates.server.certificate, keyPath: certificates.server.key)
                $0.corsOrigins = [Self.shop]
            }
            try await TestProxy.with(script: Self.script, configure: configure) { proxy in
                try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) {
                    client async throws in
                    let shop = [("origin", Self.shop)]
                    let guarded = shop + [("idempotency-key", "k-1")]
                    let responses = [
                        try await client.send(.head("GET", "/", shop)),
                        try await client.send(.head("POST", "/", guarded), body: "x"),
                        try await client.send(.head("POST", "/", guarded), body: "x"),
                        try await client.send(.head("POST", "/", guarded), body: "y"),
                        try await client.send(
                            .head("OPTIONS", "/", shop + [("access-control-request-method", "POST")])),
                    ]
                    #expect(responses.map(\.status) == ["201", "201", "201", "422", "204"])
                    for response in responses {
                        let head = try #require(response.head)
                        #expect(head["access-control-allow-origin"] == [Self.shop])
                        #expect(head["vary"].contains("Origin"))
                    }
                }
            }
        }
    }
}
