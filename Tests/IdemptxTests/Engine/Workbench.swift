import HTTPTypes
import Idemptx
import IdemptxTesting
import Metrics
import MetricsTestKit
import TestSupport
import Testing

/// An engine on a clock of its own, with a store that fails on demand and a ledger of what ran.
struct Workbench: Sendable {
    let clock: ManualClock
    let memory: MemoryStore
    let store: FaultyStore
    let idempotency: Idempotency
    let ledger: Ledger
    /// What the engine counts.
    let metrics = TestMetrics()

    init(_ change: (inout IdempotencyPolicy) -> Void = { _ in }) {
        let clock = ManualClock()
        let memory = MemoryStore(clock: clock)
        self.init(
            clock: clock, memory: memory, store: FaultyStore(memory, clock: clock), ledger: Ledger(),
            policy: IdempotencyPolicy(change))
    }

    private init(
        clock: ManualClock,
        memory: MemoryStore,
        store: FaultyStore,
        ledger: Ledger,
        policy: IdempotencyPolicy
    ) {
        self.clock = clock
        self.memory = memory
        self.store = store
        self.idempotency = withMetricsFactory(self.metrics) {
            Idempotency(store: store, policy: policy, clock: clock)
        }
        self.ledger = ledger
    }

    /// How many calls wait for another.
    var waitingCount: Int {
        get throws { Int(try self.metrics.expectGauge("idempotency.waiting").lastValue ?? 0) }
    }

    /// Another process: an engine of its own, which shares the records and the ledger, and gets no hints.
    func otherProcess(_ change: (inout IdempotencyPolicy) -> Void = { _ in }) -> Workbench {
        var policy = self.idempotency.policy
        change(&policy)
        return Workbench(
            clock: self.clock, memory: self.memory, store: FaultyStore(SilentStore(self.memory), clock: self.clock),
            ledger: self.ledger,
            policy: policy)
    }

    /// An operation with an effect: its result is the number of its entry in the ledger.
    func charge(_ key: String = "k-1", fingerprint: Fingerprint = .none) async throws -> Int {
        try await self.idempotency.run("charge", key: key, fingerprint: fingerprint) { [ledger] context in
            ledger.add()
        }
    }

    /// Starts an operation that has had its effect and does not end before `gate` opens.
    func startCharge(
        _ key: String = "k-1",
        fingerprint: Fingerprint = .none,
        until gate: Gate,
        before end: @escaping @Sendable (IdempotencyContext) async throws -> Void = { _ in }
    ) async throws -> Task<Int, any Error> {
        let arrivals = gate.arrivals
        let task = Task { [idempotency, ledger] in
            try await idempotency.run("charge", key: key, fingerprint: fingerprint) { context in
                let entry = ledger.add()
                await gate.pass()
                try await end(context)
                return entry
            }
        }
        try await eventually { gate.arrivals > arrivals }
        return task
    }

    /// Lets time pass until `body` returns, in steps so small that no lease ends unrenewed.
    func whileTimePasses<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [clock] in
                while !Task.isCancelled {
                    clock.advance(by: .milliseconds(20))
                    try? await Task.sleep(for: .milliseconds(1))
                }
            }
            defer { group.cancelAll() }
            return try await body()
        }
    }

    /// An attempt at a request with this key whose process has died.
    func abandonRequest(_ key: String, onAbandoned: UnknownOutcomeRule.Kind = .rerun) async throws {
        let scope = Scope.authorization(in: [:])
        _ = try await self.memory.claim(
            ClaimRequest(key: StorageKey(scope: scope, key: try IdempotencyKey(key)), onAbandoned: onAbandoned))
    }

    /// The problem that `body` ends with; `nil` if it ends otherwise.
    func problem(_ body: () async throws -> some Any) async -> IdempotencyProblem? {
        do {
            _ = try await body()
            return nil
        } catch {
            return error as? IdempotencyProblem
        }
    }
}

struct CardDeclined: Error {}
