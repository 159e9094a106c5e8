package import Idemptx
import Synchronization

/// Sends each call to the next of several stores, as a load balancer does with processes.
package final class AlternatingStore: IdempotencyStore {
    private let stores: [any IdempotencyStore]
    private let calls = Mutex(0)

    /// Creates a store over others that share their records.
    package init(_ stores: any IdempotencyStore...) {
        self.stores = stores
    }

    private var next: any IdempotencyStore {
        self.calls.withLock { calls in
            calls += 1
            return self.stores[calls % self.stores.count]
        }
    }

    /// As the next store does it.
    package func claim(_ request: ClaimRequest) async throws -> ClaimResult<Claim> {
        try await self.next.claim(request)
    }

    /// As the next store does it.
    package func renew(_ claim: borrowing Claim, lease: Duration) async throws -> Bool {
        try await self.next.renew(claim, lease: lease)
    }

    /// As the next store does it.
    package func complete(_ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration) async throws -> Bool {
        try await self.next.complete(claim, with: outcome, keyTTL: keyTTL)
    }

    /// As the next store does it.
    package func release(_ claim: borrowing Claim) async throws -> Bool {
        try await self.next.release(claim)
    }
}
