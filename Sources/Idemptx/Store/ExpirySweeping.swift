/// A store that can delete expired records ahead of time.
///
/// Sweeping only frees space: every store checks the expiry of a record when it reads it.
package protocol ExpirySweeping: Sendable {
    /// Deletes some expired records.
    ///
    /// - Parameter limit: How many records to delete at most.
    /// - Returns: How many were deleted; fewer than `limit` means that none are left.
    /// - Throws: ``StoreError``.
    func sweepExpired(limit: Int) async throws -> Int
}
