import Idemptx
import IdemptxTesting
import Synchronization
import Testing

/// A store over a dictionary.
///
/// The rules are those of `RecordTransitions`; the store adds a lock, a clock, and a place for the records.
final class DictionaryStore: SynchronousStore {
    private let records = Mutex<[StorageKey: IdempotencyRecord]>([:])
    private let hub = ChangeHub()
    private let time: TimeSource

    init(clock: some Clock<Duration> = ContinuousClock()) {
        self.time = TimeSource(clock)
    }

    func claim(_ request: ClaimRequest) throws -> Admission {
        let decision = self.apply(request.key) { record, now in
            RecordTransitions.claim(record, request, now: now)
        }
        return Admission(decision, for: request)
    }

    func renew(_ claim: borrowing Claim, lease: Duration) throws -> Bool {
        let (owner, keyTTL) = (claim.owner, claim.keyTTL)
        return self.apply(claim.key) { record, now in
            RecordTransitions.renew(record, owner: owner, lease: lease, keyTTL: keyTTL, now: now)
        }
    }

    func complete(_ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration) throws -> Bool {
        let owner = claim.owner
        let isStored = self.apply(claim.key) { record, now in
            RecordTransitions.complete(record, owner: owner, outcome: outcome, keyTTL: keyTTL, now: now)
        }
        if isStored { self.hub.announce(claim.key) }
        return isStored
    }

    func release(_ claim: borrowing Claim) throws -> Bool {
        let owner = claim.owner
        let isReleased = self.apply(claim.key) { record, now in
            RecordTransitions.release(record, owner: owner, now: now)
        }
        if isReleased { self.hub.announce(claim.key) }
        return isReleased
    }

    func changes(of key: StorageKey) -> AsyncStream<Void> {
        self.hub.changes(of: key)
    }

    /// One atomic step: what stands there is read, and what becomes of it is written, under one lock.
    private func apply<Answer: Sendable>(
        _ key: StorageKey,
        _ transition: (IdempotencyRecord?, Timestamp) -> Transition<Answer>
    ) -> Answer {
        self.records.withLock { records in
            let step = transition(records[key], self.time.now)
            step.change.apply(to: &records[key])
            return step.answer
        }
    }
}

struct DictionaryStoreTests {
    @Test("The dictionary store keeps the laws of a store")
    func keepsTheLaws() async throws {
        try await StoreConformance { clock in DictionaryStore(clock: clock) }.runAll()
    }
}
