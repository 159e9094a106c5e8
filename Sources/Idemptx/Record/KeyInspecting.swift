import Logging

/// A store that lets an operator look at its records and settle them by hand.
///
/// A ``TransactionalStore`` has all of this but the listing: ``records(in:after:limit:)``.
public protocol KeyInspecting: Sendable {
    /// The record of one key.
    ///
    /// - Parameter key: The record in question.
    /// - Returns: The record, or `nil` if there is none or it has expired.
    /// - Throws: ``StoreError``.
    func record(for key: StorageKey) async throws -> RecordSummary?

    /// One page of records, in an order of the store's choosing.
    ///
    /// A record that exists all the while is on some page; a store whose table grows meanwhile may list it twice. Others
    /// may be missed. A listing of the state ``RecordState/unknown`` does not read through all other records.
    ///
    /// - Parameters:
    ///   - state: Only records in this state; `nil` stands for all.
    ///   - cursor: `next` of the page before, of the same listing; `nil` for the first page.
    ///   - limit: How many records to read, about.
    /// - Returns: The records that have not expired, and where the next page starts; `nil` if this is the last.
    /// - Throws: ``StoreError``.
    func records(
        in state: RecordState?,
        after cursor: String?,
        limit: Int
    ) async throws -> (records: [RecordSummary], next: String?)

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
    ) async throws -> OperatorResult

    /// Frees a key whose attempt has no outcome, so that the next claim runs the operation, as the next attempt.
    ///
    /// - Parameters:
    ///   - key: The record in question.
    ///   - force: Whether to do so while the lease is running, which lets the operation run twice.
    ///   - reason: Why, for the log.
    /// - Returns: What happened.
    /// - Throws: ``StoreError``.
    func release(_ key: StorageKey, force: Bool, reason: String) async throws -> OperatorResult

    /// Deletes a record in whatever state, so that the next claim runs the operation, as the first attempt.
    ///
    /// - Parameters:
    ///   - key: The record in question.
    ///   - reason: Why, for the log.
    /// - Returns: Whether there was one, readable or not.
    /// - Throws: ``StoreError``.
    func remove(_ key: StorageKey, reason: String) async throws -> Bool
}

/// A store that counts its records.
package protocol RecordCounting: KeyInspecting, UnknownOutcomeCounting {
    /// How many records are in which state.
    ///
    /// - Throws: ``StoreError``.
    func statistics() async throws -> StoreStatistics
}

/// A store that counts its unknown outcomes.
package protocol UnknownOutcomeCounting: Sendable {
    /// How many records are in the state ``RecordState/unknown``, without reading through all others.
    ///
    /// - Throws: ``StoreError``.
    func unknownCount() async throws -> Int
}

extension TransactionalStore {
    /// The record of one key.
    public func record(for key: StorageKey) async throws -> RecordSummary? {
        try await self.take(key, priority: .background) { record, now in
            Transition(
                RecordTransitions.live(record, now: now).map { RecordSummary(key: key, record: $0, readAt: now) })
        }
    }

    /// Stores an outcome that an operator has found out.
    public func complete(
        _ key: StorageKey,
        with outcome: Outcome,
        keyTTL: Duration,
        force: Bool,
        reason: String
    ) async throws -> OperatorResult {
        let result = try await self.take(key, priority: .settle) { record, now in
            RecordTransitions.operatorComplete(record, outcome: outcome, keyTTL: keyTTL, force: force, now: now)
        }
        if result == .done {
            OperatorAct.completed.log(key, reason: reason)
            self.announce(key)
        }
        return result
    }

    /// Frees a key whose attempt has no outcome.
    public func release(_ key: StorageKey, force: Bool, reason: String) async throws -> OperatorResult {
        let result = try await self.take(key, priority: .settle) { record, now in
            RecordTransitions.operatorRelease(record, force: force, now: now)
        }
        if result == .done {
            OperatorAct.released.log(key, reason: reason)
            self.announce(key)
        }
        return result
    }

    /// Deletes a record in whatever state.
    public func remove(_ key: StorageKey, reason: String) async throws -> Bool {
        let isRemoved = try await self.take(key, priority: .settle) { record, now in
            Transition(RecordTransitions.live(record, now: now) != nil, record == nil ? .none : .remove)
        }
        if isRemoved { OperatorAct.removed.log(key, reason: reason) }
        self.announce(key)
        return isRemoved
    }
}

/// What an operator did to a key, for the log.
package enum OperatorAct: String, Sendable {
    case completed
    case released
    case removed

    /// Logs the act with its reason.
    ///
    /// - Parameters:
    ///   - key: The record; its first digits are logged.
    ///   - reason: Why; what would break or hide a line is escaped.
    package func log(_ key: StorageKey, reason: String) {
        Logger.current.notice(
            "An operator \(self.rawValue) a key",
            metadata: [
                "idempotency.record": "\(key.description.prefix(16))",
                "idempotency.reason": "\(Self.line(reason))",
            ])
    }

    /// A text from outside as a part of one line of a log.
    private static func line(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { line, scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: line += scalar.escaped(asASCII: true)
            default: line.unicodeScalars.append(scalar)
            }
        }
    }
}
