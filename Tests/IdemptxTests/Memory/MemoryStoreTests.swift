import Idemptx
import IdemptxTesting
import Testing

@Suite("The memory store")
struct MemoryStoreTests {
    @Test("keeps the laws of a store")
    func conforms() async throws {
        try await StoreConformance { clock in MemoryStore(clock: clock) }.runAll(seeds: 0..<200)
    }

    @Test("keeps the laws with a single shard")
    func conformsWithOneShard() async throws {
        try await StoreConformance { clock in MemoryStore(clock: clock, shardCount: 1) }.runAll()
    }
}
