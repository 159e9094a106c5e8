import Idemptx
import IdemptxRedis
import InMemoryLogging
import Logging
import Metrics
import MetricsTestKit
import RESP3
import RedisServerTesting
import StoreTestSupport
import Synchronization
import TestSupport
import Testing

@Suite("What the Redis store demands of its servers", .timeLimit(.minutes(3)))
struct RedisSafetyTests {
    private func verify(
        _ server: RedisServer, _ configuration: RedisStoreConfiguration, as user: String = ""
    ) async throws -> (
        log: InMemoryLogHandler, evictingServers: Double?
    ) {
        let (metrics, log) = (TestMetrics(), InMemoryLogHandler())
        let store = try withMetricsFactory(metrics) {
            try RedisStore(url: server.url(user), configuration: configuration)
        }
        try await withLogger(Logger(label: "test") { _ in log }) { _ in try await store.verify() }
        return (log, try metrics.expectGauge("idempotency.redis.evicting_servers").lastValue)
    }

    @Test("A server that may evict records is a loud warning and a metric, or an error if that is demanded")
    func eviction() async throws {
        var options = RedisServerOptions()
        options.lines = ["maxmemory 100mb", "maxmemory-policy volatile-ttl"]
        try await RedisServer.with(options) { server in
            let (log, count) = try await self.verify(server, RedisStoreConfiguration())
            #expect(log.entries.count { $0.level == .warning } == 1)
            #expect(count == 1)

            let strict = RedisStoreConfiguration(requireNoEviction: true)
            let error = await #expect(throws: StoreError.self) { try await self.verify(server, strict) }
            #expect(error?.code == .misconfigured)
            // As a service, it ends its group.
            let store = try RedisStore(url: server.url(), configuration: strict)
            await #expect(throws: StoreError.self) { try await store.run() }

            try await server.send(["CONFIG", "SET", "maxmemory-policy", "noeviction"])
            let (quiet, none) = try await self.verify(server, strict)
            #expect(quiet.entries.isEmpty)
            #expect(none == 0)
        }
    }

    @Test(
        "A server that takes no writes is found out, though it replies to reads: full, or a replica",
        arguments: [true, false])
    func unwritable(isFull: Bool) async throws {
        try await RedisServer.with { server in
            let store = try RedisStore(url: server.url())
            let probe = StoreProbe(store, timeout: .seconds(1))
            try await probe.run()
            try await server.send(
                isFull ? ["CONFIG", "SET", "maxmemory", "1"] : ["REPLICAOF", RedisArgument("127.0.0.1"), "1"])
            await #expect(throws: StoreError.self) { try await probe.run() }
            try await server.send(isFull ? ["CONFIG", "SET", "maxmemory", "0"] : ["REPLICAOF", "NO", "ONE"])
            try await eventually("The server takes writes again") {
                try await probe.run()
                return true
            }
        }
    }

    @Test("A server that refuses CONFIG is asked all the same")
    func withoutConfig() async throws {
        var options = RedisServerOptions()
        options.lines = ["rename-command CONFIG \"\""]
        try await RedisServer.with(options) { server in
            let (_, count) = try await self.verify(server, RedisStoreConfiguration())
            #expect(count == 0)
        }
    }

    @Test("A server that refuses INFO too may evict records, for all that is known")
    func withoutInfo() async throws {
        var options = RedisServerOptions()
        options.users = ["modest on >p ~* &* +@all -info"]
        try await RedisServer.with(options) { server in
            let (log, count) = try await self.verify(server, RedisStoreConfiguration(), as: "modest:p@")
            #expect(log.entries.count { $0.level == .warning } == 1)
            #expect(count == 1)
            let strict = RedisStoreConfiguration(requireNoEviction: true)
            let error = await #expect(throws: StoreError.self) {
                try await self.verify(server, strict, as: "modest:p@")
            }
            #expect(error?.code == .misconfigured)
        }
    }

    private struct UnexpectedResult: Error {}

    /// Claims a key, again as long as the replica does not acknowledge it in time.
    private func claimOnceAcknowledged(_ request: ClaimRequest, _ store: RedisStore) async throws -> Claim {
        while true {
            do {
                if case .granted(let claim) = try await store.claim(request) { return claim }
                throw UnexpectedResult()
            } catch let error as StoreError where error.code == .replyLost {
                try Task.checkCancellation()
            }
        }
    }

    @Test("Too few replicas fail a claim and a completion, until there are enough")
    func replicas() async throws {
        try await RedisServer.with { primary in
            try await RedisServer.with { replica in
                @Sendable func open() throws -> RedisStore {
                    try RedisStore(
                        url: primary.url(), connection: RedisConnectionConfiguration(commandTimeout: .seconds(10)),
                        configuration: RedisStoreConfiguration(
                            acknowledgement: ReplicaAcknowledgement(replicas: 1, timeout: .seconds(1))))
                }
                let store = try open()
                let request = ClaimRequest(key: try .named("k-1"))
                #expect(await store.claimed(request) == "replyLost")

                try await replica.send(["REPLICAOF", RedisArgument(primary.host), RedisArgument(primary.port)])
                let claim = try await self.claimOnceAcknowledged(request, store)
                replica.pause()
                // Twice over one connection, then over one that has written nothing before.
                for store in [store, store, try open()] {
                    do {
                        let isStored = try await store.complete(claim, with: .charged, keyTTL: .seconds(60))
                        Issue.record("No replica has it, but the reply is \(isStored)")
                    } catch let error as StoreError {
                        #expect(error.code == .replyLost)
                    }
                }
                replica.resume()
                try await eventually("The replica is in step again") {
                    try await store.complete(claim, with: .charged, keyTTL: .seconds(60))
                }
                #expect(await store.claimed(ClaimRequest(key: request.key)) == "replay")
            }
        }
    }

    @Test("While replicas are waited for, leases are renewed, and all claims reach the primary")
    func haltedReplica() async throws {
        try await RedisServer.with { primary in
            try await RedisServer.with { replica in
                let store = try RedisStore(
                    url: primary.url(), connection: RedisConnectionConfiguration(commandTimeout: .seconds(5)),
                    configuration: RedisStoreConfiguration(acknowledgement: ReplicaAcknowledgement(replicas: 1)))
                try await replica.send(["REPLICAOF", RedisArgument(primary.host), RedisArgument(primary.port)])
                let held = try await self.claimOnceAcknowledged(ClaimRequest(key: try .named("held")), store)
                replica.pause()
                let isOver = Mutex(false)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { @Sendable in
                        try await self.claimAll(20, in: store)
                        isOver.withLock { $0 = true }
                    }
                    try await eventually("The primary waits for the replica") {
                        let clients = try await primary.send(["INFO", "clients"]).string
                        let isAnyBlocked = clients?.contains("blocked_clients:0") == false
                        return isAnyBlocked || isOver.withLock { $0 }
                    }
                    var renewals = 0
                    repeat {
                        #expect(try await store.renew(held, lease: .seconds(60)))
                        if !isOver.withLock({ $0 }) { renewals += 1 }
                    } while !isOver.withLock { $0 }
                    #expect(renewals > 0)
                    try await group.waitForAll()
                }
                // One after the other, they would take 10 s.
                #expect(try await store.statistics().count(of: .claimed) == 21)
            }
        }
    }

    /// Claims keys at the same time, none of which is acknowledged by a replica.
    private func claimAll(_ count: Int, in store: RedisStore) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<count {
                group.addTask {
                    let request = ClaimRequest(key: try .named("k-\(number)"))
                    let error = await #expect(throws: StoreError.self) { _ = try await store.claim(request) }
                    #expect(error?.code == .replyLost)
                    #expect(error?.message == "Only 0 of 1 replicas have acknowledged a write.")
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("Replicas may not take longer to reply than a command")
    func acknowledgementTimeout() throws {
        let configuration = RedisStoreConfiguration(
            acknowledgement: ReplicaAcknowledgement(replicas: 1, timeout: .seconds(2)))
        let error = #expect(throws: StoreError.self) {
            try RedisStore(url: "redis://localhost", configuration: configuration)
        }
        #expect(error?.code == .misconfigured)
    }
}
