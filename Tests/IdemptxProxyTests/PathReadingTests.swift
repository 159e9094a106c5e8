import HTTPTestSupport
import Idemptx
import IdemptxProxy
import TestSupport
import Testing

@Suite("The path of a request")
struct PathReadingTests {
    private static func rule(_ path: String, _ change: (inout IdempotencyPolicy) -> Void) throws -> RouteRule {
        RouteRule(path: try PathPattern(path), policy: IdempotencyPolicy(change))
    }

    private static func strict(_ more: [RouteRule] = []) throws -> Change {
        let rules = more + [try Self.rule("/payments/**") { $0.required = true }]
        return Change { $0.rules.routes = rules }
    }

    @Test(
        "is held to the rule that is for it as upstreams read it, and passes as it was sent",
        arguments: [
            "/payments/1", "//payments/1", "/payments//1", "/./payments/1", "/x/../payments/1", "/%2e/payments/1",
            "/x/%2E%2e/payments/1", "/payments;v=1/1", "/payments/1;v=1", "/%70ayments/1", "///payments",
            "/x/..;a/payments/1", "/payments/a%2Fb", "/payments/1?a=//b",
        ])
    func usual(_ target: String) async throws {
        try await TestProxy.with(configure: try Self.strict()) { proxy async throws in
            #expect(try await proxy.send("POST \(target)", body: "x").problem == "key-missing")
            #expect(proxy.upstream.requests.isEmpty)
            let keyed = try await proxy.send("POST \(target)", ["Idempotency-Key: k-1"], body: "x")
            #expect(keyed["X-Idempotency-Status"] == ["new"])
            #expect(proxy.upstream.request?.start == "POST \(target) HTTP/1.1")
        }
    }

    @Test(
        "is refused if another reader might do what a stricter rule is for",
        arguments: [
            "/payments%2F1", "/payments%5c1", "/payments\\1", "/payments/../x", "/payments/..;/x",
            "/x%2F..%2Fpayments/1",
        ])
    func ambiguous(_ target: String) async throws {
        try await TestProxy.with(configure: try Self.strict()) { proxy async throws in
            for fields in [[], ["Idempotency-Key: k-1"]] {
                let refused = try await proxy.send("POST \(target)", fields, body: "x")
                #expect(refused.status == 400)
                #expect(try refused.problem == "path-ambiguous")
            }
            #expect(proxy.upstream.connections == 0)
            // No rule is for this method.
            #expect(try await proxy.send("GET \(target)").status == 200)
        }
    }

    @Test("that leads out of what is not guarded is refused as well")
    func fromUnguarded() async throws {
        let open = try Self.rule("/public/**") { $0.mode = .off }
        try await TestProxy.with(configure: try Self.strict([open])) { proxy async throws in
            #expect(try await proxy.send("POST /public/../payments/1", body: "x").problem == "key-missing")
            #expect(try await proxy.send("POST /payments/../public/1", body: "x").problem == "path-ambiguous")
            #expect(try await proxy.send("POST /public/..%2Fpayments/1", body: "x").problem == "path-ambiguous")
            #expect(proxy.upstream.connections == 0)
            #expect(try await proxy.send("POST /public/1", body: "x").status == 200)
        }
    }

    @Test(
        "can have encoded slashes where no stricter rule is met", arguments: ["/projects/a%2Fb/issues", "/files/a%2Fb"])
    func encodedSlash(_ target: String) async throws {
        let projects = try Self.rule("/projects/*/issues") { $0.required = true }
        try await TestProxy.with(configure: try Self.strict([projects])) { proxy async throws in
            let response = try await proxy.send("POST \(target)", ["Idempotency-Key: k-1"], body: "x")
            #expect(response["X-Idempotency-Status"] == ["new"])
        }
    }
}
