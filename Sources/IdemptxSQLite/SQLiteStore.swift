public import GRDB
public import Idemptx
public import ServiceLifecycle

/// Keeps records in an SQLite file: durable, embedded, and shared by all processes of one host that open it.
///
/// ```swift
/// let store = try SQLiteStore(path: "idemptx.sqlite")
/// ```
///
/// What a call reports is on the disk: the file is in WAL mode with `synchronous=FULL`, so that it survives the crash of
/// the process, of the system, and a power cut, as far as the disk keeps what it acknowledged. Concurrent calls share
/// one transaction and its one `fsync`; renewals and completions go ahead of claims, and a claim that changes
/// nothing does not wait for a transaction. Every call has a deadline, also while the file is locked. Time is the
/// wall clock of the host: if that is set ahead by more than a lease, the outcome of a running attempt counts as unknown.
///
/// Only the owner of a new file can read it. Waiters in this process are woken by a change; those in other processes
/// find out by asking again.
public final class SQLiteStore: TransactionalStore {
    /// What tells the file from others: all handles on it have one identity.
    public let identity: StoreIdentity

    let database: RecordDatabase
    let timeout: Duration
    private let writer: GroupWriter
    private let time: TimeSource
    private let sweepInterval: Duration

    /// Opens a file, or creates it.
    ///
    /// - Parameters:
    ///   - path: Where the file is. Its directory has to exist.
    ///   - mustHoldRecords: Whether only a file will do that a store has been opened with before. Any other is left as it
    ///     is then.
    ///   - timeout: How long a call takes at most, waiting for another process that is writing included.
    ///   - sweepInterval: How long ``run()`` waits between two sweeps.
    /// - Throws: `StoreError` with code `StoreError/Code/misconfigured` if the file cannot be used.
    public convenience init(
        path: String,
        mustHoldRecords: Bool = false,
        timeout: Duration = .seconds(5),
        sweepInterval: Duration = .seconds(60)
    ) throws(StoreError) {
        try self.init(
            path: path, mustHoldRecords: mustHoldRecords, timeout: timeout, sweepInterval: sweepInterval,
            time: .wallClock)
    }

    /// Opens a file with another clock than the host's.
    package convenience init(
        path: String,
        mustHoldRecords: Bool = false,
        timeout: Duration = .seconds(5),
        sweepInterval: Duration = .seconds(60),
        time: TimeSource
    ) throws(StoreError) {
        let database = try RecordDatabase(path: path, mustHoldRecords: mustHoldRecords, busyTimeout: timeout)
        self.init(
            database, limits: GroupWriter.Limits(timeout: timeout), sweepInterval: sweepInterval, time: time)
    }

    /// Keeps records in a table of the application's own database.
    ///
    /// The table is called `idemptx_record` and is created if it is not there. How durable a reported outcome is, and who
    /// can read it, is up to the settings of the database: `DatabasePool`, with `synchronous=FULL`, is recommended. The
    /// writes of the application and those of the store take turns.
    ///
    /// - Parameters:
    ///   - database: A connection, or several, to the application's database.
    ///   - timeout: How long a call takes at most, waiting for other writes included.
    ///   - sweepInterval: How long ``run()`` waits between two sweeps.
    /// - Throws: `StoreError` with code `StoreError/Code/misconfigured` if the table cannot be created.
    public convenience init(
        _ database: any DatabaseWriter,
        timeout: Duration = .seconds(5),
        sweepInterval: Duration = .seconds(60)
    ) throws(StoreError) {
        try self.init(database, timeout: timeout, sweepInterval: sweepInterval, time: .wallClock)
    }

    /// Uses a table of the application's own database with another clock than the host's.
    package convenience init(
        _ database: any DatabaseWriter,
        timeout: Duration = .seconds(5),
        sweepInterval: Duration = .seconds(60),
        time: TimeSource
    ) throws(StoreError) {
        let limits = GroupWriter.Limits(timeout: timeout, groupsPerTurn: 1)
        self.init(
            try RecordDatabase(database), limits: limits, sweepInterval: sweepInterval, time: time
        )
    }

    private init(
        _ database: RecordDatabase, limits: GroupWriter.Limits, sweepInterval: Duration, time: TimeSource
    ) {
        self.database = database
        self.timeout = limits.timeout
        self.writer = GroupWriter(database.writer, file: database.file, limits: limits)
        // A database in memory is known by its connection.
        self.identity = database.identity ?? StoreIdentity(of: database.writer)
        self.sweepInterval = sweepInterval
        self.time = time
    }

    /// Changes one record in a transaction that concurrent calls share.
    public func transact<Result: Sendable>(
        _ key: StorageKey,
        priority: TransactionPriority,
        timeout: Duration?,
        _ step: @escaping @Sendable (inout IdempotencyRecord?, Timestamp) throws -> Result
    ) async throws -> Result {
        // A claim that finds the key completed or in progress changes nothing, and need not wait for a transaction.
        if priority == .claim, let record = try await self.knownRecord(key) {
            var changed: IdempotencyRecord? = record
            let result = try step(&changed, self.time.now)
            if case .none = RecordChange(from: record, to: changed) { return result }
        }
        return try await self.writer.perform(priority: priority, timeout: timeout) { db in
            try self.change(key, in: db, step)
        }
    }

    /// The record of a key, if it can be read beside the connection that writes.
    private func knownRecord(_ key: StorageKey) async throws -> IdempotencyRecord? {
        if let record = try self.database.recordAtOnce(key) { return record }
        // A transaction of the application can take long, and others have to learn what is in progress or done.
        return try await self.database.recordInSnapshot(key)
    }

    /// Changes one record in a transaction of the caller.
    func change<Result>(
        _ key: StorageKey,
        in db: Database,
        _ step: (inout IdempotencyRecord?, Timestamp) throws -> Result
    ) throws -> Result {
        let stored = try RecordStatements.record(key, in: db)
        var record = stored
        let result = try step(&record, self.time.now)
        switch RecordChange(from: stored, to: record) {
        case .none: break
        case .write(let record): try RecordStatements.write(record, for: key, in: db)
        case .remove: try RecordTable.remove(key, in: db)
        }
        return result
    }
}

extension SQLiteStore: KeyInspecting {
    /// The record of one key.
    public func record(for key: StorageKey) async throws -> RecordSummary? {
        let now = self.time.now
        let record = try await self.database.read { db in try RecordTable.record(key, in: db) }
        return RecordTransitions.live(record, now: now).map { RecordSummary(key: key, record: $0, readAt: now) }
    }

    /// One page of records: sorted by key, or by the end of their leases if only unknown ones are asked for.
    public func records(
        in state: RecordState?,
        after cursor: String?,
        limit: Int
    ) async throws -> (records: [RecordSummary], next: String?) {
        let now = self.time.now
        let limit = max(1, limit)
        if state == .unknown {
            let position = try cursor.map { try RecordTable.UnknownPosition($0) } ?? RecordTable.UnknownPosition()
            let (records, last) = try await self.database.read { db in
                try RecordTable.unknownSummaries(after: position, limit: limit, now: now, in: db)
            }
            return (records, last?.cursor)
        }
        let start = try cursor.map { try StorageKey(cursor: $0) }
        let records = try await self.database.read { db in
            try RecordTable.summaries(after: start, limit: limit, now: now, in: db)
        }
        let next = records.count < limit ? nil : records.last?.key.description
        return (records.filter { state == nil || $0.state == state }, next)
    }

    /// Deletes a record in whatever state.
    public func remove(_ key: StorageKey, reason: String) async throws -> Bool {
        let time = self.time
        let isRemoved = try await self.writer.perform(priority: .settle) { db in
            let isExpired = try RecordTable.isExpired(key, now: time.now, in: db)
            return try RecordTable.remove(key, in: db) && !isExpired
        }
        if isRemoved { OperatorAct.removed.log(key, reason: reason) }
        self.announce(key)
        return isRemoved
    }
}

extension SQLiteStore: RecordCounting {
    /// Counts the records.
    package func statistics() async throws -> StoreStatistics {
        let now = self.time.now
        return try await self.database.read { db in try RecordTable.statistics(now: now, in: db) }
    }

    /// Counts the records whose outcome is unknown, by an index that holds little else.
    package func unknownCount() async throws -> Int {
        let now = self.time.now
        return try await self.database.read { db in try RecordTable.unknownCount(now: now, in: db) }
    }
}

extension SQLiteStore: ExpirySweeping {
    /// Deletes some expired records, in short transactions between which others get their turn.
    package func sweepExpired(limit: Int) async throws -> Int {
        let now = self.time.now
        var swept = 0
        while swept < limit {
            let bounds = RecordTable.SweepBounds(records: limit - swept)
            let (count, hasMore) = try await self.writer.perform(priority: .background) { db in
                try RecordTable.sweep(bounds, now: now, in: db)
            }
            swept += count
            if !hasMore { break }
        }
        return swept
    }
}

extension SQLiteStore: Service {
    /// Sweeps out expired records until the service group shuts down.
    ///
    /// Nothing but space depends on it.
    public func run() async throws {
        try await ExpirySweeper(store: self, interval: self.sweepInterval, time: self.time).run()
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

extension RecordTable.UnknownPosition {
    fileprivate init(_ cursor: String) throws(StoreError) {
        let parts = cursor.split(separator: ".")
        guard parts.count == 2, let leaseEnd = Int64(parts[0]), let key = StorageKey(String(parts[1]))
        else {
            throw StoreError(.misconfigured, "The cursor is none of this store.")
        }
        self.init(leaseEnd: leaseEnd, key: key.bytes)
    }

    fileprivate var cursor: String? {
        StorageKey(bytes: self.key).map { "\(self.leaseEnd).\($0)" }
    }
}
