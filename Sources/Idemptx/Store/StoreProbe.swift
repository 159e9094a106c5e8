/// Checks that a store accepts writes.
///
/// A full store, or a replica, still replies to reads.
package struct StoreProbe: Sendable {
    private let store: any IdempotencyStore
    private let request: ClaimRequest

    /// - Parameters:
    ///   - store: The store.
    ///   - timeout: The deadline of the claim, counted from its call.
    package init(_ store: any IdempotencyStore, timeout: Duration) {
        self.store = store
        self.request = ClaimRequest(key: StorageKey(), lease: .seconds(5), keyTTL: .seconds(60), timeout: timeout)
    }

    /// Claims a key, and releases it.
    ///
    /// - Throws: What the store throws.
    package func run() async throws {
        // If an earlier release was lost, the claim is granted again, since its token is the same.
        guard case .granted(let claim) = try await self.store.claim(self.request) else { return }
        _ = try await self.store.release(claim)
    }
}
