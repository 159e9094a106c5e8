import HTTPTypes
import Idemptx
import IdemptxTesting
import Synchronization
import TestSupport
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

@Suite("The lease of a running operation")
struct LeaseTests {
    @Test("is kept alive for as long as the operation runs")
    func keptAlive() async throws {
        let bench = Workbench { $0.lease = .seconds(30) }
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        for renewals in 1...20 {
            await bench.clock.waitForSleepers()
            bench.clock.advance(by: .seconds(10))
            try await eventually { bench.store.count(of: .renew) == renewals }
            #expect(await bench.problem { try await bench.otherProcess().charge() }?.kind == .requestInProgress)
        }
        gate.open()
        #expect(try await running.value == 1)
        #expect(try await bench.charge() == 1)
        #expect(bench.ledger.count == 1)
    }

    @Test("is renewed by one loop for all operations")
    func oneLoop() async throws {
        let bench = Workbench()
        let gate = Gate()
        var running: [Task<Int, any Error>] = []
        for index in 0..<50 { running.append(try await bench.startCharge("k-\(index)", until: gate)) }
        await bench.clock.waitForSleepers()
        #expect(bench.clock.sleeperCount == 1)
        bench.clock.advance(by: .seconds(10))
        try await eventually { bench.store.count(of: .renew) == 50 }
        gate.open()
        for task in running { _ = try await task.value }
    }

    @Test("is renewed in time if it is shorter than those that are running already")
    func shorterLease() async throws {
        let bench = Workbench { $0.lease = .seconds(300) }
        let gate = Gate()
        let long = try await bench.startCharge("long", until: gate)
        await bench.clock.waitForSleepers()
        bench.idempotency.policy.lease = .seconds(3)
        let short = try await bench.startCharge("short", until: gate)
        for renewals in 1...5 {
            try await eventually {
                bench.clock.advance(by: .milliseconds(100))
                return bench.store.count(of: .renew) >= renewals
            }
        }
        #expect(await bench.problem { try await bench.otherProcess().charge("short") }?.kind == .requestInProgress)
        gate.open()
        _ = try await (long.value, short.value)
    }

    @Test("is no longer renewed once the operation has ended")
    func ends() async throws {
        let bench = Workbench()
        _ = try await bench.charge()
        bench.clock.advance(by: .seconds(3_600))
        try await eventually { bench.clock.sleeperCount == 0 }
        #expect(bench.store.count(of: .renew) == 0)
    }

    @Test("survives renewals that fail, if one gets through in time")
    func renewalsFail() async throws {
        let bench = Workbench { $0.lease = .seconds(30) }
        let gate = Gate()
        let running = try await bench.startCharge(until: gate) { context in #expect(context.isLeaseHeld) }
        bench.store.inject(.failsBefore, at: .renew, times: 3)
        // Three tries fail, ten, thirteen and sixteen seconds after the claim; the fourth is at nineteen.
        for renewals in 1...4 {
            try await eventually {
                bench.clock.advance(by: .milliseconds(100))
                return bench.store.count(of: .renew) >= renewals
            }
        }
        #expect(await bench.problem { try await bench.otherProcess().charge() }?.kind == .requestInProgress)
        gate.open()
        #expect(try await running.value == 1)
    }

    @Test("is renewed again after a renewal that was refused while the outcome is being stored")
    func refusedWhileCompleting() async throws {
        let bench = Workbench { $0.lease = .seconds(30) }
        let store = RefusingStore(bench.store)
        let idempotency = Idempotency(
            store: store, policy: IdempotencyPolicy { $0.completionRetryTime = .zero }, clock: bench.clock)
        bench.store.breakDown(at: .complete)
        let entry = try await idempotency.run("charge", key: "k-1") { [ledger = bench.ledger] _ in ledger.add() }
        #expect(entry == 1)
        try await bench.whileTimePasses { try await eventually { bench.clock.now.offset > .seconds(60) } }
        #expect(store.refusals == 1)
        #expect(bench.store.count(of: .renew) > 1)
        #expect(await bench.problem { try await bench.otherProcess().charge() }?.kind == .requestInProgress)
        bench.store.heal()
        try await bench.whileTimePasses {
            try await eventually { try await bench.otherProcess().charge() == 1 }
        }
        #expect(bench.ledger.count == 1)
    }

    /// An attempt whose process does not reach the store until after its lease.
    private func cutOff(
        _ bench: Workbench, until gate: Gate,
        before end: @escaping @Sendable (IdempotencyContext) async throws -> Void
    ) async throws -> Task<Int, any Error> {
        let running = try await bench.startCharge(until: gate, before: end)
        bench.store.breakDown(at: .renew)
        bench.clock.advance(by: .seconds(31))
        return running
    }

    @Test("once over, lets another attempt run, whose number is one higher")
    func takenOver() async throws {
        let bench = Workbench { $0.lease = .seconds(30) }
        let gate = Gate()
        let running = try await self.cutOff(bench, until: gate) { context in #expect(!context.isLeaseHeld) }
        let attempt = try await bench.otherProcess().idempotency.run("charge", key: "k-1") { $0.attempt }
        #expect(attempt == 2)

        gate.open()
        // The late attempt has its result, but may not replace what the other one has stored.
        #expect(try await running.value == 1)
        #expect(try await bench.otherProcess().charge() == 2)
        #expect(bench.ledger.count == 1)
    }

    @Test("once lost, cancels the operation, and nothing of it is stored")
    func lossCancels() async throws {
        let bench = Workbench { $0.lease = .seconds(30) }
        let isCancelled = Gate()
        let task = Task { [ledger = bench.ledger] in
            try await bench.idempotency.run("charge", key: "k-1") { _ in
                let entry = ledger.add()
                await withTaskCancellationHandler {
                    await isCancelled.pass()
                } onCancel: {
                    isCancelled.open()
                }
                try Task.checkCancellation()
                return entry
            }
        }
        try await eventually { isCancelled.arrivals == 1 }
        bench.store.breakDown(at: .renew)
        bench.clock.advance(by: .seconds(31))
        #expect(try await bench.otherProcess().charge() == 2)
        bench.store.heal()
        let problem = try await bench.whileTimePasses { await bench.problem { try await task.value } }
        #expect(problem?.kind == .requestInProgress)
        #expect(bench.store.count(of: .complete) == 0)
        #expect(try await bench.charge() == 2)
    }

    @Test("once over, refuses every retry if the rule says so, until the late attempt ends")
    func refuses() async throws {
        let bench = Workbench {
            $0.lease = .seconds(30)
            $0.onAbandoned = .refuse
        }
        let gate = Gate()
        let running = try await self.cutOff(bench, until: gate) { _ in }
        for _ in 0..<2 {
            #expect(await bench.problem { try await bench.otherProcess().charge() }?.kind == .outcomeUnknown)
        }
        gate.open()
        #expect(try await running.value == 1)
        #expect(try await bench.otherProcess().charge() == 1)
        #expect(bench.ledger.count == 1)
    }
}

/// Refuses the first renewal, as a store does that has completed the key, or given it to another attempt.
private final class RefusingStore: IdempotencyStore {
    private let store: any IdempotencyStore
    private let renewals = Mutex(0)

    init(_ store: any IdempotencyStore) {
        self.store = store
    }

    /// How many renewals were refused.
    var refusals: Int { min(1, self.renewals.withLock { $0 }) }
    var identity: StoreIdentity { self.store.identity }

    func claim(_ request: ClaimRequest) async throws -> ClaimResult<Claim> { try await self.store.claim(request) }

    func renew(_ claim: borrowing Claim, lease: Duration) async throws -> Bool {
        let isFirst = self.renewals.withLock { renewals in
            renewals += 1
            return renewals == 1
        }
        if isFirst { return false }
        return try await self.store.renew(claim, lease: lease)
    }

    func complete(_ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration) async throws -> Bool {
        try await self.store.complete(claim, with: outcome, keyTTL: keyTTL)
    }

    func release(_ claim: borrowing Claim) async throws -> Bool { try await self.store.release(claim) }
    func changes(of key: StorageKey) -> AsyncStream<Void> { self.store.changes(of: key) }
}

/// On the real clock, and on all threads of the pool: one at a time, and nothing beside it in this suite.
@Suite("The lease of an operation that does not let go of its thread", .serialized, .timeLimit(.minutes(1)))
struct BlockedPoolTests {
    @Test("is renewed all the same")
    func blocked() async throws {
        let store = FaultyStore(MemoryStore())
        let idempotency = Idempotency(store: store, policy: IdempotencyPolicy { $0.lease = .milliseconds(300) })
        // More than there are threads in the pool, each of which is held until the lease has been renewed.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                group.addTask {
                    try await idempotency.run("compute", key: "k-\(number)") { _ in
                        // Holds its thread, as an operation that computes does: a task that sleeps would give it back.
                        while store.count(of: .renew) == 0 { usleep(1_000) }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(store.count(of: .renew) > 0)
    }
}

@Suite("An operation that takes too long")
struct MaxRunTimeTests {
    @Test("no longer keeps its key, by the rule for unknown outcomes")
    func maxRunTime() async throws {
        let bench = Workbench {
            $0.lease = .seconds(30)
            $0.maxRunTime = .seconds(60)
        }
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        try await bench.whileTimePasses { try await eventually { bench.clock.now.offset > .seconds(100) } }
        #expect(try await bench.otherProcess().charge() == 2)
        gate.open()
        #expect(try await running.value == 1)
    }
}

@Suite("A policy")
struct PolicyTests {
    @Test("is always possible, however it is set")
    func holds() async throws {
        let bench = Workbench { $0.lease = .zero }
        bench.idempotency.policy.keyTTL = .seconds(-1)
        bench.idempotency.policy.maxKeyLength = 0
        bench.idempotency.policy.maxRequestBody = -1
        bench.idempotency.policy.waitTimeout = .seconds(-1)
        let policy = bench.idempotency.policy
        #expect(policy.lease > .zero && policy.keyTTL > .zero && policy.maxKeyLength > 0)
        #expect(policy.maxRequestBody == 0 && policy.waitTimeout == .zero)
        let entry = try await bench.idempotency.run("charge", key: "k") { [ledger = bench.ledger] _ in ledger.add() }
        #expect(entry == 1)
    }
}
