public import ServiceLifecycle

/// Keeps records in the memory of this process.
///
/// For tests, for a single process that may forget its keys when it restarts, and as a model of the contract. Records
/// are spread over shards, each behind its own lock, and leave when their time is over: a read ignores expired records,
/// and ``run()`` sweeps them out. The number of records is not capped, because forgetting one would let its operation
/// run twice.
///
/// ```swift
/// let store = MemoryStore()
/// ```
public final class MemoryStore: TransactionalStore {
    private let shards: [MemoryShard]
    private let hub = ChangeHub()
    private let time: TimeSource
    private let sweepInterval: Duration

    /// Creates an empty store.
    ///
    /// - Parameters:
    ///   - clock: The clock that leases and lifetimes are measured with.
    ///   - shardCount: Over how many locks the records are spread; at least one.
    ///   - sweepInterval: How long ``run()`` waits between two sweeps.
    public init(
        clock: some Clock<Duration> = ContinuousClock(),
        shardCount: Int = 16,
        sweepInterval: Duration = .seconds(30)
    ) {
        self.shards = (0..<max(1, shardCount)).map { _ in MemoryShard() }
        self.time = TimeSource(clock)
        self.sweepInterval = sweepInterval
    }

    private func shard(of key: StorageKey) -> MemoryShard {
        self.shards[Int(UInt(bitPattern: key.hashValue) % UInt(self.shards.count))]
    }

    /// Changes one record behind the lock of its shard.
    public func transact<Result: Sendable>(
        _ key: StorageKey,
        priority: TransactionPriority,
        timeout: Duration?,
        _ step: @Sendable (IdempotencyRecord?, Timestamp) throws -> Transition<Result>
    ) throws -> Result {
        try self.shard(of: key).apply(key) { record in try step(record, self.time.now) }
    }

    /// Tells those who wait in this process.
    public func announce(_ key: StorageKey) {
        self.hub.announce(key)
    }

    /// Hints at changes made through this instance.
    public func changes(of key: StorageKey) -> AsyncStream<Void> {
        self.hub.changes(of: key)
    }
}

extension MemoryStore: KeyInspecting {
    /// The record of one key.
    public func record(for key: StorageKey) throws -> RecordSnapshot? {
        let now = self.time.now
        return try self.shard(of: key).record(for: key, now: now).map {
            RecordSnapshot(key: key, record: $0, readAt: now)
        }
    }

    /// One page of records, sorted by key.
    public func records(after cursor: ListingCursor?, limit: Int) -> RecordPage {
        let sorted = self.summaries().sorted { $0.key.description < $1.key.description }
        let rest = sorted.drop { summary in cursor.map { summary.key.description <= $0.rawValue } ?? false }
        let page = rest.prefix(max(1, limit))
        let isLast = page.endIndex == rest.endIndex
        let next = isLast ? nil : page.last.map { ListingCursor(rawValue: $0.key.description) }
        return RecordPage(records: Array(page), next: next)
    }

    /// Frees a key whose attempt has not ended.
    public func release(_ key: StorageKey, force: Bool) throws -> OperatorRelease {
        let answer = try self.shard(of: key).apply(key) { record in
            RecordTransitions.operatorRelease(record, force: force, now: self.time.now)
        }
        self.hub.announce(key)
        return answer
    }

    /// Deletes a record in whatever state.
    public func remove(_ key: StorageKey) -> Bool {
        defer { self.hub.announce(key) }
        return self.shard(of: key).remove(key, now: self.time.now)
    }

    /// Counts the records.
    public func statistics() -> StoreStatistics {
        self.summaries().reduce(into: StoreStatistics()) { $0.count($1) }
    }

    private func summaries() -> [RecordSummary] {
        let now = self.time.now
        return self.shards.flatMap { $0.summaries(now: now) }
    }
}

extension MemoryStore: ExpirySweeping {
    /// Deletes some expired records, one shard at a time.
    public func sweepExpired(limit: Int) -> Int {
        let now = self.time.now
        var swept = 0
        for shard in self.shards where swept < limit {
            swept += shard.sweepExpired(limit: limit - swept, now: now)
        }
        return swept
    }
}

extension MemoryStore: Service {
    /// Sweeps out expired records until the service group shuts down.
    ///
    /// Nothing but memory depends on it.
    public func run() async throws {
        try await ExpirySweeper(store: self, interval: self.sweepInterval, time: self.time).run()
    }
}
