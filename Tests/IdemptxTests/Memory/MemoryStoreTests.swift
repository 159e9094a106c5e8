import Idemptx
import IdemptxTesting
import InMemoryLogging
import Logging
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
        let store: any IdempotencyStore & Service & RecordCounting & ExpirySweeping = MemoryStore()
        #expect(try await store.statistics().total == 0)
    }

    @Test("sweeps out expired records while it runs as a service")
    func sweeps() async throws {
        let clock = ManualClock()
        let store = MemoryStore(clock: clock, sweepInterval: .seconds(60))
        for _ in 0..<1200 {
            let owner = OwnerToken()
            let key = try #require(StorageKey(bytes: owner.bytes + owner.bytes))
            guard case .granted = try await store.claim(ClaimRequest(key: key, keyTTL: .seconds(30))) else { continue }
        }
        let service = Task { try await store.run() }
        await clock.waitForSleepers()
        clock.advance(by: .seconds(60))
        await clock.waitForSleepers()
        #expect(store.sweepExpired(limit: 1) == 0)
        service.cancel()
        try await service.value
    }

    private func key() throws -> StorageKey {
        let owner = OwnerToken()
        return try #require(StorageKey(bytes: owner.bytes + owner.bytes))
    }

    @Test("removes expired records as new ones come, without being run")
    func sweepsAsItWrites() async throws {
        let clock = ManualClock()
        let store = MemoryStore(clock: clock, shardCount: 4)
        for _ in 0..<500 {
            _ = try await store.claim(ClaimRequest(key: self.key(), keyTTL: .seconds(30)))
        }
        clock.advance(by: .seconds(60))
        for _ in 0..<500 {
            _ = try await store.claim(ClaimRequest(key: self.key(), keyTTL: .seconds(300)))
        }
        #expect(store.sweepExpired(limit: 1000) < 100, "Each write looks at two records")
    }

    @Test("lists all its records page by page, also while others leave")
    func pages() async throws {
        let store = MemoryStore(shardCount: 3)
        var (staying, leaving): (Set<StorageKey>, [StorageKey]) = ([], [])
        for index in 0..<1500 {
            let key = try self.key()
            _ = try await store.claim(ClaimRequest(key: key))
            if index.isMultiple(of: 3) { leaving.append(key) } else { staying.insert(key) }
        }
        var listed: Set<StorageKey> = []
        var cursor: String?
        repeat {
            let page = try store.records(in: nil, after: cursor, limit: 100)
            listed.formUnion(page.records.map(\.key))
            for _ in 0..<100 where !leaving.isEmpty { _ = try await store.remove(leaving.removeLast(), reason: "test") }
            cursor = page.next
        } while cursor != nil
        #expect(staying.isSubset(of: listed))
        #expect(throws: StoreError.self) {
            try store.records(in: nil, after: "elsewhere", limit: 1)
        }
    }

    @Test("knows its unknown outcomes without looking through all records")
    func unknownOutcomes() async throws {
        let clock = ManualClock()
        let store = MemoryStore(clock: clock)
        var unknown: Set<StorageKey> = []
        for index in 0..<300 {
            let request = ClaimRequest(key: try self.key(), onAbandoned: .refuse)
            guard case .granted(let claim) = try await store.claim(request) else { continue }
            switch index % 3 {
            case 0: unknown.insert(request.key)
            case 1: _ = try await store.complete(claim, with: .tombstone(Tombstone(status: 200)), keyTTL: .seconds(60))
            default: _ = try await store.release(claim)
            }
        }
        #expect(store.unknownCount() == 0)
        clock.advance(by: .seconds(31))
        #expect(store.unknownCount() == 100)
        var listed: [StorageKey] = []
        var cursor: String?
        repeat {
            let page = try store.records(in: .unknown, after: cursor, limit: 30)
            listed += page.records.map(\.key)
            cursor = page.next
        } while cursor != nil
        #expect(listed.count == 100 && Set(listed) == unknown)
        clock.advance(by: .seconds(365 * 24 * 3600))
        #expect(store.unknownCount() == 100, "An unknown outcome does not expire under the rule to refuse")
    }

    @Test("logs what an operator does, and why, without the client's key")
    func logsOperators() async throws {
        let store = MemoryStore()
        let key = StorageKey(scope: .unscoped, key: try IdempotencyKey("secret-key"))
        let log = InMemoryLogHandler()
        let logger = Logger(label: "test") { _ in log }
        for reason in ["The bank was down", "The bank has it"] {
            _ = try await store.claim(ClaimRequest(key: key))
            try await withLogger(logger) { _ in
                if reason.hasSuffix("down") {
                    _ = try await store.release(key, force: true, reason: reason)
                } else {
                    _ = try await store.complete(
                        key, with: .tombstone(Tombstone(status: 201)), keyTTL: .seconds(60), force: true, reason: reason
                    )
                }
            }
        }
        let lines = log.entries.map { "\($0.message) \($0.metadata)" }
        #expect(lines.count == 2)
        #expect(lines[0].contains("released") && lines[0].contains("The bank was down"))
        #expect(lines[1].contains("completed") && lines[1].contains("The bank has it"))
        #expect(!lines.joined().contains("secret-key"))
    }
}
