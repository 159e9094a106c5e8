import Foundation
import NIOHTTP1
import RedisServerTesting
import TestSupport
import Testing

@Suite("idemptx proxy whose Redis is stopped for twelve seconds in mid-operation", .timeLimit(.minutes(3)))
struct ProxyOutageTests {
    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    @Test("sends the response during the outage, as unstored, and replays it afterwards; the upstream ran once")
    func outage() async throws {
        var options = RedisServerOptions()
        options.isDurable = true
        try await RedisServer.with(options) { server in
            let path = "/slow-orders?seconds=3"
            let shop = try await Shop.start(in: self.directory)
            let arguments = ["--store", server.url()]
            let proxy = try await Proxy.start(for: shop.server, arguments, in: self.directory)
            let client = Task {
                let response = try await proxy.post(path, key: "k-1")
                return (response, ContinuousClock.now)
            }
            try await eventually("The order is taken") { try await shop.orders().count == 1 }
            try await server.kill()
            let start = ContinuousClock.now

            let (first, end) = try await client.value
            #expect(first.status == 201)
            #expect(first.header("X-Idempotency-Status") == "unstored")
            let outage = Duration.seconds(12)
            #expect(start.duration(to: end) < outage)
            try await Task.sleep(until: start + outage, clock: .continuous)
            try await server.restart()
            let retry = try await proxy.post(path, key: "k-1")
            #expect(retry.header("Idempotent-Replayed") == "true")
            #expect(retry.repeatable == first.repeatable)

            let other = try await Proxy.start(for: shop.server, arguments, in: self.directory)
            try await eventually("Another process replays the response") {
                let retry = try await other.post(path, key: "k-1")
                return retry.header("Idempotent-Replayed") == "true" && retry.repeatable == first.repeatable
            }
            #expect(try await shop.orders().count == 1)
        }
    }

    @Test("counts the lease that it has lost while it stood still, and another one has the key")
    func lostLease() async throws {
        try await RedisServer.with { server in
            let shop = try await Shop.start(in: self.directory)
            let arguments = ["--store", server.url(), "--lease", "1s"]
            let proxy = try await Proxy.start(for: shop.server, arguments + ["--admin-port", "0"], in: self.directory)
            let other = try await Proxy.start(for: shop.server, arguments, in: self.directory)
            let client = Task { try await proxy.post("/slow-orders?seconds=3", key: "k-1") }
            try await eventually("The order is taken") { try await shop.orders().count == 1 }
            proxy.process.signal(SIGSTOP)
            try await eventually("Another proxy runs it") {
                _ = try? await other.post("/slow-orders?seconds=3", key: "k-1")
                return try await shop.orders().count == 2
            }
            proxy.process.signal(SIGCONT)
            #expect(try await client.value.header("X-Idempotency-Status") == "unstored")
            let metrics = try await proxy.admin().send(.GET, "/metrics").body
            #expect(metrics.contains("\nidempotency_lease_losses_total 1\n"))
        }
    }
}
