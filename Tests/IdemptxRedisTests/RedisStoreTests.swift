import Idemptx
import IdemptxRedis
import IdemptxTesting
import RedisServerTesting
import Testing

@Suite("The Redis store", .timeLimit(.minutes(3)))
struct RedisStoreTests {
    @Test("keeps the laws of a store", arguments: RedisBinary.all)
    func conforms(binary: RedisBinary) async throws {
        try await RedisServer.with(RedisServerOptions(binary)) { server in
            try await StoreConformance(pace: .realTime(unit: .milliseconds(250))) { _ in
                try RedisStore(url: server.url())
            }.runAll()
        }
    }
}
