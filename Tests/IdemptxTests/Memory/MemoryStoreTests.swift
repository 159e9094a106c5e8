import Idemptx
import IdemptxTesting
import ServiceLifecycle
import TestSupport
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

    @Test("can be run, inspected and swept")
    func capabilities() async throws {
        // The laws leave out what a store does not conform to.
        let store: any IdempotencyStore & Service & KeyInspecting & ExpirySweeping = MemoryStore()
        #expect(try await store.statistics().total == 0)
    }

    @Test("sweeps out expired records while it runs as a service")
    func sweeps() async throws {
        let clock = ManualClock()
        let store = MemoryStore(clock: clock, sweepInterval: .seconds(60))
        for _ in 0..<1200 {
            let owner = OwnerToken()
            let key = try #require(StorageKey(bytes: owner.bytes + owner.bytes))
            guard case .execute = try store.claim(ClaimRequest(key: key, keyTTL: .seconds(30))) else { continue }
        }
        let service = Task { try await store.run() }
        await clock.waitForSleepers()
        clock.advance(by: .seconds(60))
        await clock.waitForSleepers()
        #expect(store.sweepExpired(limit: 1) == 0)
        service.cancel()
        try await service.value
    }
}
