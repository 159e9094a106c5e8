import Idemptx
import Testing

/// The world of one law: a store, the passing of time, and keys of its own.
struct Trial: Sendable {
    /// A claim in a box, so that a law can hold several at once.
    final class HeldClaim: Sendable {
        let claim: Claim

        init(_ claim: consuming Claim) {
            self.claim = claim
        }
    }

    /// The result of a claim, and the claim if it was granted.
    struct Claimed: Sendable {
        let result: ClaimResult<ClaimGrant>
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
        onAbandoned: UnknownOutcomeRule.Kind = .rerun,
        unresolvedRetention: Duration? = nil
    ) -> ClaimRequest {
        ClaimRequest(
            key: key ?? self.key, owner: owner, fingerprint: fingerprint, comparesFingerprint: comparesFingerprint,
            lease: self.lease, keyTTL: self.keyTTL, onAbandoned: onAbandoned, unresolvedRetention: unresolvedRetention)
    }

    func claim(_ request: ClaimRequest) async throws -> Claimed {
        defer { self.time.note() }
        switch try await self.store.claim(request) {
        case .granted(let claim):
            let grant = ClaimGrant(attempt: claim.attempt, unknownAttempt: claim.unknownAttempt)
            return Claimed(result: .granted(grant), held: HeldClaim(claim))
        case .completed(let outcome): return Claimed(result: .completed(outcome), held: nil)
        case .inProgress(let lease): return Claimed(result: .inProgress(remainingLease: lease), held: nil)
        case .mismatch: return Claimed(result: .mismatch, held: nil)
        case .unknown: return Claimed(result: .unknown, held: nil)
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

    /// Expects a result.
    ///
    /// Of a remaining lease only that it is positive and no longer than the whole lease, of a grant only its attempt.
    func expect(_ claimed: Claimed, _ expected: ClaimResult<ClaimGrant>, _ law: Comment) {
        switch (claimed.result, expected) {
        case (.inProgress(let actual), .inProgress): self.expect(actual > .zero && actual <= self.lease, law)
        case (.granted(let actual), .granted(let expected)): self.expect(actual.attempt == expected.attempt, law)
        case (let actual, let expected): self.expect(actual == expected, law)
        }
    }

    /// Records an issue for each law that was broken.
    func report() {
        for law in self.broken.all { Issue.record(law, sourceLocation: self.sourceLocation) }
    }
}

extension ClaimResult where Grant == ClaimGrant {
    /// The claim is granted, with this number.
    static func attempt(_ number: Int) -> Self { .granted(ClaimGrant(attempt: number)) }
}

extension StorageKey {
    static func random() -> StorageKey {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<StorageKey.byteCount).map { _ in UInt8.random(in: 0...255, using: &generator) }
        guard let key = StorageKey(bytes: bytes) else { preconditionFailure("A storage key has byteCount bytes") }
        return key
    }
}
