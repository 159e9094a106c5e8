import Idemptx

/// A store that gives no hints at changes.
final class SilentStore: IdempotencyStore {
    private let store: any IdempotencyStore

    init(_ store: any IdempotencyStore) {
        self.store = store
    }

    func claim(_ request: ClaimRequest) async throws -> ClaimResult<Claim> {
        try await self.store.claim(request)
    }

    func renew(_ claim: borrowing Claim, lease: Duration) async throws -> Bool {
        try await self.store.renew(claim, lease: lease)
    }

    func complete(_ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration) async throws -> Bool {
        try await self.store.complete(claim, with: outcome, keyTTL: keyTTL)
    }

    func release(_ claim: borrowing Claim) async throws -> Bool {
        try await self.store.release(claim)
    }
}
