extension IdempotencyStore {
    /// Frees the key of a claim under which nothing was done.
    ///
    /// If the claim has replaced an attempt whose outcome is unknown, that outcome stays unknown, and the key stays with
    /// the same request: only the lease ends.
    ///
    /// - Returns: Whether the claim was there.
    func free(_ claim: borrowing Claim, _ telemetry: Telemetry) async throws -> Bool {
        guard claim.unknownAttempt == nil else { return try await self.endLease(of: claim, telemetry) }
        return try await telemetry.storeCall(.release) { try await self.release(claim) }
    }

    /// Ends the lease of a claim, which leaves its outcome unknown.
    ///
    /// - Returns: Whether the claim was there.
    func endLease(of claim: borrowing Claim, _ telemetry: Telemetry) async throws -> Bool {
        try await telemetry.storeCall(.renew) { try await self.renew(claim, lease: .zero) }
    }
}
