extension IdempotencyStore {
    /// Asks the store for something that changes nothing, to see whether it replies.
    ///
    /// - Throws: What the store throws.
    package func probe() async throws {
        let key = StorageKey(namespace: "probe", scope: .unscoped, key: try IdempotencyKey("probe"))
        // No attempt holds this claim, so there is nothing to release.
        _ = try await self.release(Claim(granting: ClaimRequest(key: key), ClaimGrant(attempt: 1)))
    }
}
