/// A store that lets an operator look at its records and settle them by hand.
public protocol KeyInspecting: Sendable {
    /// The record of one key.
    ///
    /// - Parameter key: The record in question.
    /// - Returns: The record, or `nil` if there is none or it has expired.
    /// - Throws: ``StoreError``.
    func record(for key: StorageKey) async throws -> RecordSnapshot?

    /// One page of records, in an order of the store's choosing.
    ///
    /// A record that exists all the while is on some page; a store whose table grows meanwhile may list it twice. Others
    /// may be missed.
    ///
    /// - Parameters:
    ///   - cursor: ``RecordPage/next`` of the page before; `nil` for the first page.
    ///   - limit: How many records to read, about.
    /// - Returns: The page.
    /// - Throws: ``StoreError``.
    func records(after cursor: ListingCursor?, limit: Int) async throws -> RecordPage

    /// Frees a key whose attempt has not ended, so that the next claim runs the operation.
    ///
    /// - Parameters:
    ///   - key: The record in question.
    ///   - force: Whether to do so while the lease is running, which lets the operation run twice.
    /// - Returns: What happened.
    /// - Throws: ``StoreError``.
    func release(_ key: StorageKey, force: Bool) async throws -> OperatorRelease

    /// Deletes a record in whatever state, so that the next claim runs the operation.
    ///
    /// - Parameter key: The record in question.
    /// - Returns: Whether there was one, readable or not.
    /// - Throws: ``StoreError``.
    func remove(_ key: StorageKey) async throws -> Bool

    /// Counts the records.
    ///
    /// - Returns: How many records are in which state.
    /// - Throws: ``StoreError``.
    func statistics() async throws -> StoreStatistics
}
