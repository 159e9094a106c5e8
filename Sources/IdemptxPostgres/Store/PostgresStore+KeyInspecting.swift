public import Idemptx

extension PostgresStore: KeyInspecting {
    /// The record of one key.
    public func record(for key: StorageKey) async throws -> RecordSummary? {
        guard let values = try await self.run(self.statements.record(key)).first else { return nil }
        var row = try RowReader(values)
        let (_, header, readAt) = try row.summary()
        guard let header else { throw StoreError(.corruptRecord, "A record cannot be read: its columns are damaged.") }
        return RecordSummary(key: key, header: header, outcome: try row.outcome(), readAt: readAt)
    }

    /// One page of records, sorted by key.
    ///
    /// Unknown outcomes are found in an index of the claims under `refuse` and `recover`; those under `rerun` are of no
    /// concern to an operator, and not listed as such.
    public func records(
        in state: RecordState?,
        after cursor: String?,
        limit: Int
    ) async throws -> (records: [RecordSummary], next: String?) {
        let limit = max(1, limit)
        let start = try cursor.map { try StorageKey(cursor: $0) }
        let statement =
            state == .unknown
            ? self.statements.unknownRecords(after: start, limit: limit)
            : self.statements.records(after: start, limit: limit)
        let records = try await self.run(statement).map { values in
            var row = try RowReader(values)
            let (key, header, readAt) = try row.summary()
            return RecordSummary(key: key, header: header, readAt: readAt)
        }
        let next = records.count < limit ? nil : records.last?.key.description
        return (records.filter { state == nil || $0.state == state }, next)
    }

    /// Stores an outcome that an operator has found out.
    public func complete(
        _ key: StorageKey,
        with outcome: Outcome,
        keyTTL: Duration,
        force: Bool,
        reason: String
    ) async throws -> OperatorResult {
        let columns = OutcomeColumns(outcome)
        let result = try await self.settle {
            self.statements.settle(key, with: columns, keyTTL: keyTTL, force: force, lockWait: $0)
        }
        if result == .done {
            OperatorAct.completed.log(key, reason: reason)
            self.listener.announce(key)
        }
        return result
    }

    /// Frees a key whose attempt has no outcome.
    public func release(_ key: StorageKey, force: Bool, reason: String) async throws -> OperatorResult {
        let result = try await self.settle {
            self.statements.settle(
                key, with: nil, keyTTL: ClaimRequest.defaultKeyTTL, force: force, lockWait: $0)
        }
        if result == .done {
            OperatorAct.released.log(key, reason: reason)
            self.listener.announce(key)
        }
        return result
    }

    private func settle(_ statement: (_ lockWait: Duration) -> PostgresStatement) async throws -> OperatorResult {
        var row = try RowReader(try await self.run(statement).first)
        let (result, leaseLeft) = (try row.text(), try row.optionalInteger())
        switch result {
        case "done": return .done
        case "absent": return .absent
        case "already completed": return .alreadyCompleted
        case "lease running": return .leaseRunning(remaining: .milliseconds(leaseLeft ?? 0))
        default: throw StoreError.unexpectedRow
        }
    }

    /// Deletes a record in whatever state.
    public func remove(_ key: StorageKey, reason: String) async throws -> Bool {
        let isRemoved = try await self.flag { self.statements.remove(key, lockWait: $0) }
        if isRemoved { OperatorAct.removed.log(key, reason: reason) }
        self.listener.announce(key)
        return isRemoved
    }
}

extension PostgresStore: RecordCounting {
    /// How long a statement may take that reads the whole table.
    private static let countTimeout = Duration.seconds(60)

    /// Counts the records, by reading through the table.
    package func statistics() async throws -> StoreStatistics {
        var statistics = StoreStatistics()
        for values in try await self.run(self.statements.counts, by: .now + Self.countTimeout) {
            var row = try RowReader(values)
            let (state, count, unknown) = (try row.integer(), try row.integer(), try row.integer())
            statistics.count(RecordState(column: state) ?? .unreadable, Int(count - unknown))
            statistics.count(.unknown, Int(unknown))
        }
        return statistics
    }

    /// Counts the unknown outcomes of claims under `refuse` and `recover`, by their index.
    package func unknownCount() async throws -> Int {
        var row = try RowReader(try await self.run(self.statements.unknownCount).first)
        return Int(try row.integer())
    }
}

extension PostgresStore: ExpirySweeping {
    /// How much one transaction of a sweep may delete: each megabyte is some five hundred rows beside the table.
    private static let batch = (records: 100, bytes: 4 << 20)

    /// Deletes some expired records, in short transactions that wait for nobody.
    ///
    /// One is deleted somewhat later than it expires: a thirty-second of the time for which it was kept, at most.
    package func sweepExpired(limit: Int) async throws -> Int {
        var swept = 0
        while swept < limit {
            let records = min(Self.batch.records, limit - swept)
            var row = try RowReader(
                try await self.run(self.statements.sweep(records: records, bytes: Self.batch.bytes)).first)
            swept += Int(try row.integer())
            guard try row.boolean() else { break }
        }
        return swept
    }
}

extension StorageKey {
    fileprivate init(cursor: String) throws(StoreError) {
        guard let key = StorageKey(cursor) else {
            throw StoreError(.misconfigured, "The cursor is none of this store.")
        }
        self = key
    }
}
