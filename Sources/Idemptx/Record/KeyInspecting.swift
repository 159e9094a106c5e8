import Logging

/// A store that lets an operator look at its records and settle them by hand.
///
/// A ``TransactionalStore`` gets ``complete(_:with:keyTTL:force:reason:)`` and ``release(_:force:reason:)`` from
/// ``RecordTransitions``.
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
    /// may be missed. A listing of the state ``RecordState/unknown`` does not read through all other records.
    ///
    /// - Parameters:
    ///   - state: Only records in this state; `nil` stands for all.
    ///   - cursor: ``RecordPage/next`` of the page before, of the same listing; `nil` for the first page.
    ///   - limit: How many records to read, about.
    /// - Returns: The page.
    /// - Throws: ``StoreError``.
    func records(in state: RecordState?, after cursor: ListingCursor?, limit: Int) async throws -> RecordPage

    /// Stores an outcome that an operator has found out, for a key whose attempt has none.
    ///
    /// - Parameters:
    ///   - key: The record in question.
    ///   - outcome: How the operation ended.
    ///   - keyTTL: How long the outcome is kept from now on.
    ///   - force: Whether to do so while the lease is running.
    ///   - reason: Why, for the log.
    /// - Returns: What happened.
    /// - Throws: ``StoreError``.
    func complete(
        _ key: StorageKey,
        with outcome: Outcome,
        keyTTL: Duration,
        force: Bool,
        reason: String
    ) async throws -> OperatorCompletion

    /// Frees a key whose attempt has no outcome, so that the next claim runs the operation, as the next attempt.
    ///
    /// - Parameters:
    ///   - key: The record in question.
    ///   - force: Whether to do so while the lease is running, which lets the operation run twice.
    ///   - reason: Why, for the log.
    /// - Returns: What happened.
    /// - Throws: ``StoreError``.
    func release(_ key: StorageKey, force: Bool, reason: String) async throws -> OperatorRelease

    /// Deletes a record in whatever state, so that the next claim runs the operation, as the first attempt.
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

    /// Counts the records in the state ``RecordState/unknown``, without reading through all others.
    ///
    /// - Returns: Their number.
    /// - Throws: ``StoreError``.
    func unknownCount() async throws -> Int
}

extension KeyInspecting {
    /// One page of all records.
    ///
    /// - Parameters:
    ///   - cursor: ``RecordPage/next`` of the page before; `nil` for the first page.
    ///   - limit: How many records to read, about.
    /// - Returns: The page.
    /// - Throws: ``StoreError``.
    public func records(after cursor: ListingCursor?, limit: Int) async throws -> RecordPage {
        try await self.records(in: nil, after: cursor, limit: limit)
    }
}

extension KeyInspecting where Self: TransactionalStore {
    /// Stores an outcome that an operator has found out.
    public func complete(
        _ key: StorageKey,
        with outcome: Outcome,
        keyTTL: Duration,
        force: Bool,
        reason: String
    ) async throws -> OperatorCompletion {
        let result = try await self.transact(key, priority: .settle, timeout: nil) { record, now in
            RecordTransitions.operatorComplete(record, outcome: outcome, keyTTL: keyTTL, force: force, now: now)
        }
        if result == .completed {
            OperatorAct.completed.log(key, reason: reason)
            self.announce(key)
        }
        return result
    }

    /// Frees a key whose attempt has no outcome.
    public func release(_ key: StorageKey, force: Bool, reason: String) async throws -> OperatorRelease {
        let result = try await self.transact(key, priority: .settle, timeout: nil) { record, now in
            RecordTransitions.operatorRelease(record, force: force, now: now)
        }
        if result == .released {
            OperatorAct.released.log(key, reason: reason)
            self.announce(key)
        }
        return result
    }
}

/// What an operator did to a key, for the log.
package enum OperatorAct: String, Sendable {
    case completed
    case released

    /// Logs the act with its reason.
    ///
    /// - Parameters:
    ///   - key: The record; its first digits are logged.
    ///   - reason: Why.
    package func log(_ key: StorageKey, reason: String) {
        Logger.current.notice(
            "An operator \(self.rawValue) a key",
            metadata: [
                "idempotency.record": "\(key.description.prefix(16))",
                "idempotency.reason": "\(reason)",
            ])
    }
}

/// Where a listing of records goes on.
public struct ListingCursor: Hashable, Sendable {
    /// A text that only the store that made it understands.
    public let rawValue: String

    /// Creates a cursor.
    ///
    /// - Parameter rawValue: A text that the store understands.
    public init(rawValue: String) {
        self.rawValue = rawValue
    }
}

/// One page of records.
public struct RecordPage: Hashable, Sendable {
    /// The records, as far as they have not expired.
    public let records: [RecordSummary]

    /// Where the next page starts; `nil` if this is the last.
    public let next: ListingCursor?

    /// Creates a page.
    ///
    /// - Parameters:
    ///   - records: The records.
    ///   - next: Where the next page starts; `nil` if this is the last.
    public init(records: [RecordSummary], next: ListingCursor?) {
        self.records = records
        self.next = next
    }
}
