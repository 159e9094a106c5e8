import Idemptx
import IdemptxRedis
import RedisServerTesting
import StoreTestSupport
import Synchronization
import TestSupport
import Testing

// For the slot of a key.
@testable import RESP3

@Suite("Several servers", .timeLimit(.minutes(3)))
struct RedisTopologyTests {
    @Test("A failover is followed, with all that the replica had")
    func failover() async throws {
        try await SentinelGroup.with(replicas: 2) { group in
            let configuration = RedisStoreConfiguration(acknowledgement: ReplicaAcknowledgement(replicas: 2))
            let idempotency = Idempotency(store: try RedisStore(url: group.url, configuration: configuration))
            let ledger = Ledger()
            @Sendable func charge(_ key: String) async throws -> Int {
                try await idempotency.run("charge", key: key) { _ in ledger.add() }
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
            let (slot, keys) = try self.keysOfOneSlot()
            let source = try await group.owner(of: slot)
            let target = (source + 1) % 3
            let traffic = Traffic(keys)
            let engines = try (0..<2).map { _ in
                Idempotency(
                    store: try RedisStore(url: group.url), policy: IdempotencyPolicy { $0.waitTimeout = .seconds(60) })
            }
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for worker in 0..<8 {
                    tasks.addTask {
                        while !traffic.isOver {
                            for key in traffic.keys {
                                try await engines[worker % 2].run("count", key: key) { _ in traffic.count(key) }
                            }
                        }
                    }
                }
                try await self.move(slot, from: source, to: target, in: group, under: traffic)
                try await tasks.waitForAll()
            }
            #expect(traffic.runs == keys.reduce(into: [:]) { $0[$1] = 1 })
        }
    }

    /// Moves a slot in which some keys are in use; others come while it moves, and when it has moved.
    private func move(
        _ slot: Int, from source: Int, to target: Int, in group: ClusterGroup, under traffic: Traffic
    ) async throws {
        defer { traffic.end() }
        traffic.admit(3)
        try await eventually("Some keys are there") { traffic.runs.count == 3 }
        try await group.beginMove(of: slot, from: source, to: target)
        traffic.admit(3)
        // They are not at the old server, which redirects to the new one.
        try await eventually("New keys are at the new server") { traffic.runs.count == 6 }
        #expect(try await group.errors("ASK") > 0)
        let asked = try await group.errors("ASK")
        try await group.moveKeys(of: slot, from: source, to: target)
        try await eventually("All keys are asked for there") { try await group.errors("ASK") > asked + 20 }
        #expect(try await group.errors("MOVED") == 0)
        try await group.endMove(of: slot, to: target)
        try await eventually("The move is noticed") { try await group.errors("MOVED") > 0 }
        traffic.admit(99)
        try await eventually("The last keys have run") { traffic.isComplete }
    }

    /// Client's keys whose records lie in the same slot: their names are digests.
    private func keysOfOneSlot() throws -> (slot: Int, keys: [String]) {
        var keys: [Int: [String]] = [:]
        var number = 0
        while true {
            number += 1
            let key = "k-\(number)"
            let name = StorageKey(scope: .operation("count"), key: try IdempotencyKey(key))
            let slot = HashSlot(key: Array("idemptx:\(name)".utf8)).number
            keys[slot, default: []].append(key)
            if let found = keys[slot], found.count == 8 { return (slot, found) }
        }
    }

    @Test("A listing of a cluster has the records of all its servers")
    func listing() async throws {
        try await ClusterGroup.with { group in
            let store = try RedisStore(url: group.url)
            let keys = try Set((0..<200).map { try StorageKey.named("k-\($0)") })
            for key in keys { #expect(await store.claimed(ClaimRequest(key: key)) == "attempt 1") }
            var listed: Set<StorageKey> = []
            var cursor: String?
            repeat {
                let page = try await store.records(in: nil, after: cursor, limit: 20)
                listed.formUnion(page.records.map(\.key))
                cursor = page.next
            } while cursor != nil
            #expect(listed == keys)
            #expect(try await store.statistics().count(of: .claimed) == 200)
            for cursor in ["", "a", "0", "0@", "x@127.0.0.1:1", "-1@127.0.0.1:1", "0:0", "0@127.0.0.1:1"] {
                let error = await #expect(throws: StoreError.self) {
                    try await store.records(in: nil, after: cursor, limit: 20)
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
            var page = try await store.records(in: nil, after: nil, limit: 20)
            var listed = Set(page.records.map(\.key))
            // From now on, the last server has the first slot.
            #expect(try await group.nodes[0].send(["CLUSTER", "COUNTKEYSINSLOT", 0]) == .integer(0))
            try await group.beginMove(of: 0, from: 0, to: 2)
            try await group.endMove(of: 0, to: 2)
            while let cursor = page.next {
                // Another process, which finds the servers anew.
                page = try await RedisStore(url: group.url).records(in: nil, after: cursor, limit: 20)
                listed.formUnion(page.records.map(\.key))
            }
            #expect(listed == keys)
        }
    }
}

/// Keys that are in use, and what ran how often, until it is over.
private final class Traffic: Sendable {
    private struct State {
        var admitted = 0
        var runs: [String: Int] = [:]
        var isOver = false
    }

    private let all: [String]
    private let state = Mutex(State())

    init(_ keys: [String]) {
        self.all = keys
    }

    /// Those that are admitted.
    var keys: ArraySlice<String> { self.all.prefix(self.state.withLock { $0.admitted }) }
    var runs: [String: Int] { self.state.withLock { $0.runs } }
    var isComplete: Bool { self.runs.count == self.all.count }
    var isOver: Bool { self.state.withLock { $0.isOver } }

    func admit(_ count: Int) { self.state.withLock { $0.admitted = min(self.all.count, $0.admitted + count) } }
    func count(_ key: String) { self.state.withLock { $0.runs[key, default: 0] += 1 } }
    func end() { self.state.withLock { $0.isOver = true } }
}
