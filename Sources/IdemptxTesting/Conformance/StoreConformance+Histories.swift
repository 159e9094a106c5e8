import HTTPTypes
import Idemptx
import Synchronization
public import Testing

extension StoreConformance {
    /// A random sequence of calls has the results of `RecordTransitions`.
    ///
    /// The seed is part of every issue; the same seed makes the same history.
    ///
    /// - Parameters:
    ///   - seed: Chooses the history.
    ///   - length: How many steps it has.
    ///   - sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func randomHistoryFollowsTheTransitions(
        seed: UInt64,
        length: Int = 150,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await self.judge(sourceLocation) { trial in
            var history = RandomHistory(trial: trial, seed: seed)
            for step in 1...length {
                guard try await history.takeStep() else {
                    trial.expect(false, "Seed \(seed), step \(step): \(history.lastStep)")
                    return
                }
            }
        }
    }

    /// Many attempts that claim, complete and release at the same time never own a key together.
    ///
    /// - Parameters:
    ///   - workers: How many attempts run at a time.
    ///   - sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func concurrentAttemptsExcludeEachOther(
        workers: Int = 16,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        // Only the time that one attempt takes counts.
        try await self.judge(sourceLocation, tolerance: 15) { trial in
            let keys = (0..<4).map { _ in StorageKey.random() }
            let owners = OwnerCounts()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<workers {
                    group.addTask {
                        var generator = SeededGenerator(seed: UInt64(worker))
                        for _ in 0..<20 {
                            let key = keys[Int.random(in: 0..<keys.count, using: &generator)]
                            let completes = Int.random(in: 0..<8, using: &generator) == 0
                            try await self.attempt(key, completes: completes, owners: owners, trial: trial)
                        }
                    }
                }
                try await group.waitForAll()
            }
            trial.expect(owners.completions.allSatisfy { $0 == 1 }, "A key is completed once")
        }
    }

    private func attempt(_ key: StorageKey, completes: Bool, owners: OwnerCounts, trial: Trial) async throws {
        guard let held = try await trial.claim(trial.request(key: key)).held else { return }
        trial.expect(owners.enter(key) == 1, "One key has one owner at a time")
        await Task.yield()
        owners.leave(key, completed: completes)
        let isEnded = try await completes ? trial.complete(held) : trial.release(held)
        trial.expect(isEnded, "An owner can end its attempt")
    }
}

/// Counts who owns what, as a witness beside the store.
private final class OwnerCounts: Sendable {
    private struct Count {
        var owners = 0
        var completions = 0
    }

    private let counts = Mutex<[StorageKey: Count]>([:])

    var completions: [Int] { self.counts.withLock { $0.values.map(\.completions).filter { $0 > 0 } } }

    func enter(_ key: StorageKey) -> Int {
        self.counts.withLock { counts in
            counts[key, default: Count()].owners += 1
            return counts[key, default: Count()].owners
        }
    }

    func leave(_ key: StorageKey, completed: Bool) {
        self.counts.withLock { counts in
            counts[key, default: Count()].owners -= 1
            if completed { counts[key, default: Count()].completions += 1 }
        }
    }
}

/// A random history, played to a store and to the transitions side by side.
private struct RandomHistory {
    private let trial: Trial
    private var generator: SeededGenerator
    private let keys = (0..<3).map { _ in StorageKey.random() }
    private var now = Timestamp(milliseconds: 0)
    private var records: [StorageKey: IdempotencyRecord] = [:]
    private var claims: [Trial.HeldClaim] = []
    private var lastRequest: ClaimRequest?
    private(set) var lastStep = ""

    init(trial: Trial, seed: UInt64) {
        self.trial = trial
        self.generator = SeededGenerator(seed: seed)
    }

    /// Plays one step.
    ///
    /// - Returns: Whether the store did what the transitions say.
    mutating func takeStep() async throws -> Bool {
        switch self.roll(20) {
        case 0..<7: try await self.claim(self.randomRequest())
        // As after a lost reply.
        case 7: try await self.claim(self.lastRequest ?? self.randomRequest())
        case 8..<11: try await self.renew()
        case 11..<15: try await self.complete()
        case 15..<17: try await self.release()
        default: try await self.pass()
        }
    }

    private mutating func roll(_ sides: Int) -> Int { Int.random(in: 0..<sides, using: &self.generator) }

    private mutating func randomRequest() -> ClaimRequest {
        let fingerprints = [
            Fingerprint.none, Fingerprint(ofBytes: [1]), Fingerprint(ofBytes: [1]), Fingerprint(ofBytes: [2]),
        ]
        return self.trial.request(
            key: self.keys[self.roll(self.keys.count)],
            fingerprint: fingerprints[self.roll(fingerprints.count)],
            comparesFingerprint: self.roll(4) > 0,
            onAbandoned: [.rerun, .rerun, .refuse, .recover][self.roll(4)])
    }

    private mutating func claim(_ request: ClaimRequest) async throws -> Bool {
        self.lastRequest = request
        let expected = self.apply(request.key) { RecordTransitions.claim($0, request, now: $1) }
        let claimed = try await self.trial.claim(request)
        if let held = claimed.held { self.claims.append(held) }
        self.lastStep = "claim: \(claimed.result), not \(expected)"
        switch (claimed.result, expected) {
        case (.inProgress(let remaining), .inProgress(let expected)):
            let tolerance = self.trial.time.pace.isManual ? .zero : self.trial.units(3)
            return remaining <= expected && expected - remaining <= tolerance
        // Moments are those of the store's own clock.
        case (.granted(let grant), .granted(let expected)):
            return grant.attempt == expected.attempt
                && grant.unknownAttempt?.attempt == expected.unknownAttempt?.attempt
        case (let result, let expected): return result == expected
        }
    }

    private mutating func renew() async throws -> Bool {
        guard let held = self.randomClaim() else { return true }
        let (owner, retention) = (held.claim.owner, held.claim.retention)
        let lease = self.roll(4) == 0 ? .zero : self.trial.lease
        let expected = self.apply(held.claim.key) {
            RecordTransitions.renew($0, owner: owner, lease: lease, retention: retention, now: $1)
        }
        self.lastStep = "renew: not \(expected)"
        return try await self.trial.store.renew(held.claim, lease: lease) == expected
    }

    private mutating func complete() async throws -> Bool {
        guard let held = self.randomClaim() else { return true }
        let outcome = Outcome.response(StoredResponse(status: .created, body: [UInt8(self.roll(256))]))
        let (owner, keyTTL) = (held.claim.owner, self.trial.keyTTL)
        let expected = self.apply(held.claim.key) {
            RecordTransitions.complete($0, owner: owner, outcome: outcome, keyTTL: keyTTL, now: $1)
        }
        self.lastStep = "complete: not \(expected)"
        return try await self.trial.complete(held, outcome) == expected
    }

    private mutating func release() async throws -> Bool {
        guard let held = self.randomClaim() else { return true }
        let (owner, keyTTL) = (held.claim.owner, held.claim.keyTTL)
        let expected = self.apply(held.claim.key) {
            RecordTransitions.release($0, owner: owner, keyTTL: keyTTL, now: $1)
        }
        self.lastStep = "release: not \(expected)"
        return try await self.trial.release(held) == expected
    }

    /// Lets time pass, in steps after which no lease or lifetime is near its end: real time is never exact.
    private mutating func pass() async throws -> Bool {
        let units = self.roll(4) == 0 ? 25 : 6
        try await self.trial.advance(units: units)
        self.now = self.now.advanced(by: self.trial.units(units))
        return true
    }

    private mutating func randomClaim() -> Trial.HeldClaim? {
        self.claims.isEmpty ? nil : self.claims[self.roll(self.claims.count)]
    }

    private mutating func apply<Result>(
        _ key: StorageKey,
        _ transition: (IdempotencyRecord?, Timestamp) -> Transition<Result>
    ) -> Result {
        let step = transition(self.records[key], self.now)
        step.change.apply(to: &self.records[key])
        return step.result
    }
}
