import Idemptx
import IdemptxRedis
import IdemptxTesting
import RedisServerTesting
import ServiceLifecycle
import Testing

@Suite("The Redis store keeps the laws of a store", .timeLimit(.minutes(5)))
struct ConformanceTests {
    private let pace = StoreConformance.Pace.realTime(unit: .milliseconds(400))

    /// The laws are not about being in time, on a machine that runs many tests at once.
    private let slow = RedisConnectionConfiguration(commandTimeout: .seconds(20))

    @Test("on one server", arguments: RedisBinary.all)
    func standalone(binary: RedisBinary) async throws {
        try await RedisServer.with(RedisServerOptions(binary)) { server in
            try await StoreConformance(pace: self.pace) { _ in try RedisStore(url: server.url(), connection: self.slow)
            }.runAll()
        }
    }

    @Test("on a cluster", arguments: [RedisBinary.installed])
    func cluster(binary: RedisBinary) async throws {
        try await ClusterGroup.with(RedisServerOptions(binary)) { group in
            try await StoreConformance(pace: self.pace) { _ in try RedisStore(url: group.url, connection: self.slow) }
                .runAll()
        }
    }

    @Test("and can be run and inspected")
    func capabilities() async throws {
        // The laws leave out what a store does not conform to.
        try await RedisServer.with { server in
            let store: any IdempotencyStore & Service & RecordCounting = try RedisStore(url: server.url())
            #expect(try await store.statistics().total == 0)
        }
    }
}
