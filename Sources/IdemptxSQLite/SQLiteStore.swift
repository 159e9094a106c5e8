import GRDB
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
/// one transaction and its one `fsync`. Time is the wall clock of the host: if that is set ahead by more than a lease, a
/// running attempt counts as abandoned.
///
/// Waiters in this process are woken by a change; those in other processes find out by asking again.
public final class SQLiteStore: IdempotencyStore {
    private let database: RecordDatabase
    private let writer: GroupWriter
    private let hub = ChangeHub()
    private let time: TimeSource
    private let sweepInterval: Duration

    /// Opens a file, or creates it.
    ///
    /// - Parameters:
    ///   - path: Where the file is. Its directory has to exist.
    ///   - mustHoldRecords: Whether only a file will do that a store has been opened with before. Any other is left as it
    ///     is then.
    ///   - busyTimeout: How long to wait for another process that is writing.
    ///   - sweepInterval: How long ``run()`` waits between two sweeps.
    ///   - time: The clock that leases and lifetimes are measured with. All processes have to agree on it.
    /// - Throws: `StoreError` with code `StoreError/Code/misconfigured` if the file cannot be used.
    public init(
        path: String,
        mustHoldRecords: Bool = false,
        busyTimeout: Duration = .seconds(5),
        sweepInterval: Duration = .seconds(60),
        time: TimeSource = .wallClock
    ) throws(StoreError) {
        self.database = try RecordDatabase(
            path: path, mustHoldRecords: mustHoldRecords, busyTimeout: busyTimeout)
        self.writer = GroupWriter(self.database.pool)
        self.time = time
        self.sweepInterval = sweepInterval
    }

    /// Asks to run an operation.
    public func claim(_ request: ClaimRequest) async throws -> Admission {
        let decision = try await self.apply(request.key) { record, now in
            RecordTransitions.claim(record, request, now: now)
        }
        return Admission(decision, for: request)
    }

    /// Moves the end of a claim's lease.
    public func renew(_ claim: borrowing Claim, lease: Duration) async throws -> Bool {
        let (owner, keyTTL) = (claim.owner, claim.keyTTL)
        return try await self.apply(claim.key) { record, now in
            RecordTransitions.renew(record, owner: owner, lease: lease, keyTTL: keyTTL, now: now)
        }
    }

    /// Stores how the operation ended.
    public func complete(_ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration) async throws -> Bool {
        let (key, owner) = (claim.key, claim.owner)
        let isStored = try await self.apply(key) { record, now in
            RecordTransitions.complete(record, owner: owner, outcome: outcome, keyTTL: keyTTL, now: now)
        }
        if isStored { self.hub.announce(key) }
        return isStored
    }

    /// Gives the key back.
    public func release(_ claim: borrowing Claim) async throws -> Bool {
        let (key, owner) = (claim.key, claim.owner)
        let isReleased = try await self.apply(key) { record, now in
            RecordTransitions.release(record, owner: owner, now: now)
        }
        if isReleased { self.hub.announce(key) }
        return isReleased
    }

    /// Hints at changes made through this instance.
    public func changes(of key: StorageKey) -> AsyncStream<Void> {
        self.hub.changes(of: key)
    }

    private func apply<Answer: Sendable>(
        _ key: StorageKey,
        _ transition: @escaping @Sendable (IdempotencyRecord?, Timestamp) -> Transition<Answer>
    ) async throws(StoreError) -> Answer {
        let time = self.time
        return try await self.writer.perform { db in
            let step = transition(try RecordTable.record(key, in: db), time.now)
            switch step.change {
            case .none: break
            case .write(let record): try RecordTable.write(record, for: key, in: db)
            case .remove: try RecordTable.remove(key, in: db)
            }
            return step.answer
        }
    }
}

extension SQLiteStore: KeyInspecting {
    /// The record of one key.
    public func record(for key: StorageKey) async throws -> RecordSnapshot? {
        let now = self.time.now
        let record = try await self.database.read { db in try RecordTable.record(key, in: db) }
        return RecordTransitions.live(record, now: now).map { RecordSnapshot(key: key, record: $0, readAt: now) }
    }

    /// One page of records, sorted by key.
    public func records(after cursor: ListingCursor?, limit: Int) async throws -> RecordPage {
        let now = self.time.now
        let limit = max(1, limit)
        let start = try cursor.map { cursor throws(StoreError) in
            guard let key = StorageKey(hexadecimal: cursor.rawValue) else {
                throw StoreError(.misconfigured, "The cursor is none of this store.")
            }
            return key
        }
        let records = try await self.database.read { db in
            try RecordTable.summaries(after: start, limit: limit, now: now, in: db)
        }
        let next = records.count < limit ? nil : records.last.map { ListingCursor(rawValue: $0.key.description) }
        return RecordPage(records: records, next: next)
    }

    /// Frees a key whose attempt has not ended.
    public func release(_ key: StorageKey, force: Bool) async throws -> OperatorRelease {
        let answer = try await self.apply(key) { record, now in
            RecordTransitions.operatorRelease(record, force: force, now: now)
        }
        self.hub.announce(key)
        return answer
    }

    /// Deletes a record in whatever state.
    public func remove(_ key: StorageKey) async throws -> Bool {
        let time = self.time
        let isRemoved = try await self.writer.perform { db in
            let isExpired = try RecordTable.isExpired(key, now: time.now, in: db)
            return try RecordTable.remove(key, in: db) && !isExpired
        }
        self.hub.announce(key)
        return isRemoved
    }

    /// Counts the records.
    public func statistics() async throws -> StoreStatistics {
        let now = self.time.now
        return try await self.database.read { db in try RecordTable.statistics(now: now, in: db) }
    }
}

extension SQLiteStore: ExpirySweeping {
    /// Deletes some expired records, in one short transaction.
    public func sweepExpired(limit: Int) async throws -> Int {
        let now = self.time.now
        return try await self.writer.perform { db in try RecordTable.sweep(limit: limit, now: now, in: db) }
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
