import Idemptx
import Testing

/// The world of one law: a store, the passing of time, and keys that nobody else uses.
struct Trial: Sendable {
    /// A claim in a box, so that a law can hold several at once.
    final class HeldClaim: Sendable {
        let claim: Claim

        init(_ claim: consuming Claim) {
            self.claim = claim
        }
    }

    /// The answer to a claim.
    struct Answer: Sendable {
        let decision: ClaimDecision
        /// Present if the decision is to execute.
        let held: HeldClaim?
    }

    /// The law took longer than its steps, so that leases may have ended that should not have.
    struct OutOfStep: Error {}

    let store: any IdempotencyStore
    let time: Time
    let sourceLocation: SourceLocation
    let key = StorageKey.random()
    private let broken = BrokenLaws()

    // MARK: Time

    func units(_ count: Int) -> Duration { self.time.pace.unit * count }

    /// Four units.
    var lease: Duration { self.units(4) }

    /// Twenty units.
    var keyTTL: Duration { self.units(20) }

    func advance(units: Int) async throws {
        try await self.time.advance(units: units)
    }

    // MARK: Calls

    func request(
        key: StorageKey? = nil,
        owner: OwnerToken = OwnerToken(),
        fingerprint: Fingerprint = .none,
        comparesFingerprint: Bool = true,
        onAbandoned: AbandonedRule = .rerun
    ) -> ClaimRequest {
        ClaimRequest(
            key: key ?? self.key, owner: owner, fingerprint: fingerprint, comparesFingerprint: comparesFingerprint,
            lease: self.lease, keyTTL: self.keyTTL, onAbandoned: onAbandoned)
    }

    func claim(_ request: ClaimRequest) async throws -> Answer {
        defer { self.time.note() }
        switch try await self.store.claim(request) {
        case .execute(let claim):
            let attempt = claim.attempt
            return Answer(decision: .execute(attempt: attempt), held: HeldClaim(claim))
        case .replay(let outcome): return Answer(decision: .replay(outcome), held: nil)
        case .inProgress(let lease): return Answer(decision: .inProgress(remainingLease: lease), held: nil)
        case .mismatch: return Answer(decision: .mismatch, held: nil)
        case .outcomeUnknown: return Answer(decision: .outcomeUnknown, held: nil)
        }
    }

    /// Claims, which has to succeed.
    func granted(_ request: ClaimRequest? = nil) async throws -> HeldClaim {
        try #require(
            try await self.claim(request ?? self.request()).held, "The key should be free",
            sourceLocation: self.sourceLocation)
    }

    func renew(_ held: HeldClaim) async throws -> Bool {
        try await self.store.renew(held.claim, lease: self.lease)
    }

    func complete(_ held: HeldClaim, _ outcome: Outcome = .sample) async throws -> Bool {
        try await self.store.complete(held.claim, with: outcome, keyTTL: self.keyTTL)
    }

    func release(_ held: HeldClaim) async throws -> Bool {
        try await self.store.release(held.claim)
    }

    // MARK: Expectations

    func expect(_ isTrue: Bool, _ law: Comment) {
        if !isTrue { self.broken.add(law) }
    }

    /// Expects a decision.
    ///
    /// Of a remaining lease only that it is positive and no longer than the whole lease.
    func expect(_ answer: Answer, _ decision: ClaimDecision, _ law: Comment) {
        if case .inProgress(let actual) = answer.decision, case .inProgress = decision {
            self.expect(actual > .zero && actual <= self.lease, law)
        } else {
            self.expect(answer.decision == decision, law)
        }
    }

    /// Records an issue for each law that was broken.
    func report() {
        for law in self.broken.all { Issue.record(law, sourceLocation: self.sourceLocation) }
    }
}

extension StorageKey {
    static func random() -> StorageKey {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<StorageKey.byteCount).map { _ in UInt8.random(in: 0...255, using: &generator) }
        guard let key = StorageKey(bytes: bytes) else { preconditionFailure("A storage key has byteCount bytes") }
        return key
    }
}
