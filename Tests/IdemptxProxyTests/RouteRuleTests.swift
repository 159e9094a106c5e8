import HTTPTestSupport
import HTTPTypes
import Idemptx
import IdemptxProxy
import IdemptxTesting
import TestSupport
import Testing

@Suite("The rules of a route")
struct RouteRuleTests {
    private static func rule(_ path: String, _ change: (inout IdempotencyPolicy) throws -> Void) throws -> RouteRule {
        var policy = IdempotencyPolicy { $0.required = false }
        try change(&policy)
        return RouteRule(path: try PathPattern(path), policy: policy)
    }

    @Test("take the key from a header of another name")
    func namedHeader() async throws {
        let field = try #require(HTTPField.Name("X-GitHub-Delivery"))
        let rule = try Self.rule("/webhooks/*") { $0.keySource = .header(field) }
        try await TestProxy.with(configure: Change { $0.rules.routes = [rule] }) { proxy in
            let delivery = ["X-GitHub-Delivery: 72d3162e-cc78-11e3-81ab-4c9367dc0958"]
            let first = try await proxy.send("POST /webhooks/github", delivery, body: "{}")
            #expect(first["X-Idempotency-Status"] == ["new"])
            #expect(
                try await proxy.send("POST /webhooks/github", delivery, body: "{}")["Idempotent-Replayed"] == ["true"])
            #expect(try await proxy.send("POST /webhooks/github", delivery, body: "[]").status == 422)
            // Not there, not that header.
            #expect(try await proxy.send("POST /elsewhere", delivery, body: "{}")["X-Idempotency-Status"] == [])
            let other = try await proxy.send("POST /webhooks/github", ["Idempotency-Key: k-1"], body: "{}")
            #expect(other["X-Idempotency-Status"] == [])
            #expect(proxy.upstream.requests.count == 3)
        }
    }

    @Test("take the key from the body, which passes all the same if there is none")
    func keyInBody() async throws {
        let pointer = try JSONPointer("/meta/idempotency_key")
        let rule = try Self.rule("/orders") { $0.keySource = .json(pointer) }
        try await TestProxy.with(configure: Change { $0.rules.routes = [rule] }) { proxy in
            let json = ["Content-Type: application/json"]
            let keyed = #"{"meta": {"idempotency_key": "k-1"}, "amount": 5}"#
            #expect(try await proxy.send("POST /orders", json, body: keyed)["X-Idempotency-Status"] == ["new"])
            #expect(try await proxy.send("POST /orders", json, body: keyed)["X-Idempotency-Status"] == ["hit"])
            let invalid = #"{"meta": {"idempotency_key": {}}}"#
            #expect(try await proxy.send("POST /orders", json, body: invalid).problem == "key-invalid")
            #expect(try await proxy.send("POST /orders", json, body: "{}")["X-Idempotency-Status"] == [])
            #expect(proxy.upstream.requests.map(\.text) == [keyed, "{}"])
            // A chunked body without a key stays a chunked body.
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(
                    .message(["POST /orders HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"] + json)
                        + .chunks(Array("{ }".utf8), of: 2) + .message(["0"]))
                #expect(try await connection.readResponse().status == 200)
            }
            #expect(proxy.upstream.requests.last?.text == "{ }")
        }
    }

    @Test("hold for the first pattern that matches, with methods and requirement of their own")
    func firstMatch() async throws {
        let rules = [
            try Self.rule("/a/open") { $0.required = false },
            try Self.rule("/a/**") {
                $0.required = true
                $0.methods = [.put]
            },
        ]
        try await TestProxy.with(configure: Change { $0.rules.routes = rules }) { proxy async throws in
            #expect(try await proxy.send("PUT /a/b?c", body: "x").problem == "key-missing")
            #expect(try await proxy.send("PUT /%61/b", body: "x").problem == "key-missing")
            #expect(try await proxy.send("POST /a/b", body: "x").status == 200)
            #expect(try await proxy.send("PUT /a/open", body: "x").status == 200)
            #expect(try await proxy.send("PUT /b", body: "x").status == 200)
            let keyed = ["Idempotency-Key: k-1"]
            #expect(try await proxy.send("PUT /a/b", keyed, body: "x")["X-Idempotency-Status"] == ["new"])
            #expect(try await proxy.send("PUT /a/b", keyed, body: "x")["X-Idempotency-Status"] == ["hit"])
            #expect(try await proxy.send("POST /a/b", keyed, body: "x")["X-Idempotency-Status"] == [])
        }
    }

    @Test("can name the problems otherwise")
    func problemTypeBase() async throws {
        let configure = { (configuration: inout ProxyConfiguration) in
            configuration.rules.standard.problemTypeBase = "https://api.test/problems/"
        }
        try await TestProxy.with(configure: Change(configure)) { proxy in
            for request in ["CONNECT a.test:1", "FROBNICATE /"] {
                let response = try await proxy.send(request)
                #expect(response.text.contains(#""type":"https://api.test/problems/not-supported""#))
            }
        }
    }

    @Test("can watch only: every request runs, and nobody sees a difference")
    func observe() async throws {
        try await TestProxy.with(configure: Change { $0.rules.standard.mode = .observe }) { proxy in
            for amount in [5, 5, 6] {
                let response = try await proxy.pay(amount: amount)
                #expect(response.status == 200)
                #expect(response["X-Idempotency-Status"] == [])
            }
            #expect(try await proxy.pay("not valid").status == 200)
            #expect(proxy.upstream.requests.count == 4)
        }
    }

    @Test("can be switched off")
    func off() async throws {
        let store = FaultyStore(MemoryStore())
        try await TestProxy.with(store: store, configure: Change { $0.rules.standard.mode = .off }) {
            proxy async throws in
            for _ in 1...2 { #expect(try await proxy.pay()["X-Idempotency-Status"] == []) }
            #expect(proxy.upstream.requests.count == 2)
            #expect(proxy.upstream.requests.allSatisfy { $0["X-Idempotency-Attempt"] == [] })
            #expect(store.count(of: .claim) == 0)
        }
    }

    @Test("can be replaced while requests run, which end by the ones they began with")
    func replaced() async throws {
        let gate = Gate()
        let script = TestUpstream.responding { _ in
            await gate.pass()
            return .response(body: "done")
        }
        try await TestProxy.with(script: script) { proxy in
            async let first = proxy.pay()
            try await eventually { gate.arrivals == 1 }
            proxy.proxy.replaceRules(with: ProxyRules(standard: IdempotencyPolicy { $0.mode = .off }))
            #expect(proxy.proxy.rules.standard.mode == .off)
            gate.open()
            #expect(try await first["X-Idempotency-Status"] == ["new"])
            #expect(try await proxy.pay()["X-Idempotency-Status"] == [])
            proxy.proxy.replaceRules(with: ProxyRules())
            #expect(try await proxy.pay()["X-Idempotency-Status"] == ["hit"])
        }
    }
}
