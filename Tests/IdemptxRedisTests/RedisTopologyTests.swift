import Idemptx
import IdemptxRedis
import RESP3
import RedisServerTesting
import Synchronization
import TestSupport
import Testing

@Suite("Several servers", .timeLimit(.minutes(3)))
struct RedisTopologyTests {
    @Test("A failover is followed, with all that the replica had")
    func failover() async throws {
        try await SentinelGroup.with(replicas: 2) { group in
            let configuration = RedisStoreConfiguration(acknowledgement: ReplicaAcknowledgement(replicas: 2))
            let idempotency = Idempotency(store: try RedisStore(url: group.url, configuration: configuration))
            let ledger = Ledger()
            @Sendable func charge(_ key: String) async throws -> Int {
                try await idempotency.run(key: key) { _ in ledger.add() }
            }
            #expect(try await charge("k-1") == 1)
            try await group.primary.kill()
            // With one replica left, two can no longer acknowledge; what is stored can be replayed.
            try await eventually("The successor is found") { try await charge("k-1") == 1 }
            await #expect(throws: IdempotencyProblem.self) { _ = try await charge("k-2") }
            #expect(ledger.count == 1)
        }
    }

    @Test("A slot that moves under load loses nothing and runs nothing twice")
    func movingSlot() async throws {
        try await ClusterGroup.with { group in
            let stores = try (0..<2).map { _ in try RedisStore(url: group.url) }
            let traffic = Traffic()
            // The keys of the records are digests, so that they lie all over the slots; these are some of each server's.
            let runners = stores.map { store in
                Idempotency(store: store, policy: IdempotencyPolicy { $0.waitTimeout = .seconds(60) })
            }
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for worker in 0..<8 {
                    tasks.addTask {
                        var number = 0
                        while !traffic.isOver {
                            let key = "\(worker / 2)-\(number)"
                            try await runners[worker % 2].run(key: key) { _ in traffic.count(key) }
                            number += 1
                        }
                    }
                }
                tasks.addTask {
                    for slot in 0..<300 {
                        let source = try await group.owner(of: slot)
                        let target = (source + 1) % 3
                        try await group.beginMove(of: slot, from: source, to: target)
                        try await group.moveKeys(of: slot, from: source, to: target)
                        try await group.endMove(of: slot, to: target)
                    }
                    traffic.end()
                }
                try await tasks.waitForAll()
            }
            #expect(traffic.runs.count > 100)
            #expect(traffic.runs.values.allSatisfy { $0 == 1 })
        }
    }

    @Test("A listing of a cluster has the records of all its servers")
    func listing() async throws {
        try await ClusterGroup.with { group in
            let store = try RedisStore(url: group.url)
            let keys = try Set((0..<200).map { try StorageKey.named("k-\($0)") })
            for key in keys { #expect(await store.claimed(ClaimRequest(key: key)) == "attempt 1") }
            var listed: Set<StorageKey> = []
            var cursor: ListingCursor?
            repeat {
                let page = try await store.records(after: cursor, limit: 20)
                listed.formUnion(page.records.map(\.key))
                cursor = page.next
            } while cursor != nil
            #expect(listed == keys)
            #expect(try await store.statistics().claimed == 200)
            for cursor in ["", "a", "0", "0@", "x@127.0.0.1:1", "-1@127.0.0.1:1", "0:0", "0@127.0.0.1:1"] {
                let error = await #expect(throws: StoreError.self) {
                    try await store.records(after: ListingCursor(rawValue: cursor), limit: 20)
                }
                #expect(error?.code == .misconfigured)
            }
        }
    }

    @Test("A listing goes on where it was, in whatever order the servers are found", arguments: RedisBinary.all)
    func listingInAnotherOrder(binary: RedisBinary) async throws {
        try await ClusterGroup.with(RedisServerOptions(binary)) { group in
            let keys = try Set((0..<200).map { try StorageKey.named("k-\($0)") })
            let store = try RedisStore(url: group.url)
            for key in keys { #expect(await store.claimed(ClaimRequest(key: key)) == "attempt 1") }
            var page = try await store.records(after: nil, limit: 20)
            var listed = Set(page.records.map(\.key))
            // From now on, the last server has the first slot.
            #expect(try await group.nodes[0].send(["CLUSTER", "COUNTKEYSINSLOT", 0]) == .integer(0))
            try await group.beginMove(of: 0, from: 0, to: 2)
            try await group.endMove(of: 0, to: 2)
            while let cursor = page.next {
                // Another process, which finds the servers anew.
                page = try await RedisStore(url: group.url).records(after: cursor, limit: 20)
                listed.formUnion(page.records.map(\.key))
            }
            #expect(listed == keys)
        }
    }
}

/// What ran how often, until it is over.
private final class Traffic: Sendable {
    private struct State {
        var runs: [String: Int] = [:]
        var isOver = false
    }

    private let state = Mutex(State())

    var runs: [String: Int] { self.state.withLock { $0.runs } }
    var isOver: Bool { self.state.withLock { $0.isOver } }

    func count(_ key: String) { self.state.withLock { $0.runs[key, default: 0] += 1 } }
    func end() { self.state.withLock { $0.isOver = true } }
}
