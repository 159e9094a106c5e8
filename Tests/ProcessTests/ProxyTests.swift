import Foundation
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

/// In front of an application that was not made for it.
@Suite("idemptx proxy in front of FastAPI", .timeLimit(.minutes(3)))
struct ProxyTests {
    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    private func start(_ arguments: String...) async throws -> (Shop, Proxy) {
        let shop = try await Shop.start(in: self.directory)
        return (shop, try await Proxy.start(for: shop.server, arguments, in: self.directory))
    }

    @Test("runs a request once, and repeats its response byte for byte")
    func replays() async throws {
        let (shop, proxy) = try await self.start()
        let first = try await proxy.post("/orders", key: "k-1")
        #expect(first.status == 201)
        #expect(first.body == #"{"id":1,"body":"a=1","attempt":"1"}"#)
        #expect(first.headers.filter { $0.lowercased().hasPrefix("x-part") } == ["x-part: b", "x-part: a"])
        #expect(first.header("X-Idempotency-Status") == "new")
        let again = try await proxy.post("/orders", key: "k-1")
        #expect(again.header("Idempotent-Replayed") == "true")
        #expect(again.repeatable == first.repeatable)
        #expect(try await shop.orders().count == 1)
    }

    @Test("refuses another payload, and lets requests without a key pass")
    func mismatch() async throws {
        let (shop, proxy) = try await self.start()
        #expect(try await proxy.post("/orders", key: "k-1").status == 201)
        #expect(try await proxy.post("/orders", key: "k-1", body: "a=2").status == 422)
        #expect(try await proxy.post("/orders", key: nil).status == 201)
        #expect(try await proxy.server.send(.GET, "/orders").status == 200)
        #expect(try await shop.orders().map(\.attempt) == ["1", nil])
    }

    @Test("runs a storm of 50 once")
    func storm() async throws {
        let (shop, proxy) = try await self.start("--wait-timeout", "30s")
        let responses = try await withThrowingTaskGroup(of: Response.self) { group in
            for _ in 0..<50 { group.addTask { try await proxy.post("/slow-orders?seconds=0.5", key: "k-1") } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(responses.allSatisfy { $0.repeatable == responses[0].repeatable && $0.status == 201 })
        #expect(try await shop.orders().count == 1)
    }

    @Test("knows webhooks by a header of theirs, on their paths only")
    func webhooks() async throws {
        let file = URL(filePath: self.directory.path).appending(path: "rules.json")
        try Data(
            """
            {"routes": [{"path": "/webhooks/**", "keyFrom": "header:X-GitHub-Delivery", "requireKey": true}]}
            """.utf8
        ).write(to: file)
        let (shop, proxy) = try await self.start("--config", file.path)
        let statuses = [
            try await proxy.post("/webhooks/github", key: nil, headers: ["X-GitHub-Delivery": "d-1"]).status,
            try await proxy.post("/webhooks/github", key: nil, headers: ["X-GitHub-Delivery": "d-1"]).status,
            try await proxy.post("/webhooks/github", key: nil).status,
            try await proxy.post("/orders", key: nil, headers: ["X-GitHub-Delivery": "d-1"]).status,
        ]
        #expect(statuses == [202, 202, 400, 201])
        #expect(try await shop.orders().count == 2)
    }

    /// Kills a proxy while an order is taken and has no response yet.
    private func crash(for shop: Shop, _ arguments: [String]) async throws {
        let proxy = try await Proxy.start(for: shop.server, arguments, in: self.directory)
        let caller = Task { try await proxy.post("/slow-orders?seconds=60", key: "k-1") }
        try await eventually("The order is taken") { try await shop.orders().count == 1 }
        try await proxy.process.killHard()
        await #expect(throws: (any Error).self) { try await caller.value }
    }

    @Test("that was killed lets a retry run once the lease is over, as attempt 2")
    func rerun() async throws {
        let shop = try await Shop.start(in: self.directory)
        let arguments = ["--lease", "1s", "--on-abandoned", "rerun"]
        try await self.crash(for: shop, arguments)
        let proxy = try await Proxy.start(for: shop.server, arguments, in: self.directory)
        try await eventually("The retry runs") {
            let timeout = TimeAmount.milliseconds(500)
            _ = try? await proxy.server.send(
                .POST, "/slow-orders?seconds=60", headers: ["Idempotency-Key": "k-1"], body: "a=1", timeout: timeout)
            return try await shop.orders().count == 2
        }
        #expect(try await shop.orders().map(\.attempt) == ["1", "2"])
    }

    @Test("that was killed runs nothing again if the rule is to refuse, until an operator releases the key")
    func refuse() async throws {
        let shop = try await Shop.start(in: self.directory)
        let arguments = ["--lease", "1s", "--on-abandoned", "refuse"]
        try await self.crash(for: shop, arguments)
        let proxy = try await Proxy.start(for: shop.server, arguments, in: self.directory)
        try await eventually("The key is abandoned") {
            try await proxy.post("/slow-orders?seconds=60", key: "k-1").body.contains("outcome-unknown")
        }
        #expect(try await shop.orders().count == 1)

        let release = try CommandProcess(["keys", "release", "--key", "k-1", "--yes"], in: self.directory)
        #expect(try await release.exitStatus() == 0)
        let retry = Task { try await proxy.post("/slow-orders?seconds=60", key: "k-1") }
        defer { retry.cancel() }
        try await eventually("The retry runs") { try await shop.orders().count == 2 }
    }

    @Test("finishes and stores what is under way when it is told to end")
    func drains() async throws {
        let (shop, proxy) = try await self.start("--admin-port", "0")
        let admin = try await proxy.admin()
        #expect(try await admin.send(.GET, "/readyz").status == 200)
        let caller = Task { try await proxy.post("/slow-orders?seconds=5", key: "k-1") }
        try await eventually("The order is taken") { try await shop.orders().count == 1 }
        proxy.process.signal(SIGTERM)
        try await eventually("Balancers are told") { try await admin.send(.GET, "/readyz").status == 503 }
        #expect(try await admin.send(.GET, "/healthz").status == 200)
        #expect(try await caller.value.status == 201)
        #expect(try await proxy.process.exitStatus() == 0)
        let next = try await Proxy.start(for: shop.server, in: self.directory)
        #expect(try await next.post("/slow-orders?seconds=5", key: "k-1").header("Idempotent-Replayed") == "true")
    }

    @Test("tells an operator of its health, and what it did")
    func admin() async throws {
        let (shop, proxy) = try await self.start("--admin-port", "0")
        for _ in 0..<3 { _ = try await proxy.post("/orders", key: "k-1") }
        #expect(try await shop.orders().count == 1)
        let admin = try await proxy.admin()
        #expect(try await admin.send(.GET, "/healthz").status == 200)
        #expect(try await admin.send(.GET, "/readyz").status == 200)
        let metrics = try await admin.send(.GET, "/metrics").body.split(separator: "\n")
        #expect(metrics.contains(#"idempotency_requests_total{mode="enforce",outcome="executed"} 1"#))
        #expect(metrics.contains(#"idempotency_requests_total{mode="enforce",outcome="replayed"} 2"#))
    }
}
