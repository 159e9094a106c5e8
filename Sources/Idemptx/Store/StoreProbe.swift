/// Finds out whether a store can be written to: a full one may still be read.
package struct StoreProbe: Sendable {
    private let store: any IdempotencyStore
    private let request: ClaimRequest

    /// - Parameters:
    ///   - store: The store.
    ///   - timeout: How late the store may get to a write and still make it.
    package init(_ store: any IdempotencyStore, timeout: Duration) {
        self.store = store
        self.request = ClaimRequest(key: StorageKey(), lease: .seconds(5), keyTTL: .seconds(60), timeout: timeout)
    }

    /// Claims a key, and releases it.
    ///
    /// - Throws: What the store throws.
    package func run() async throws {
        // Repeated with the same token, a claim whose release was lost is granted again.
        guard case .granted(let claim) = try await self.store.claim(self.request) else { return }
        _ = try await self.store.release(claim)
    }
}
