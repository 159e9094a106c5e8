public import ServiceLifecycle

/// Keeps records in the memory of this process.
///
/// For tests, for a single process that may forget its keys when it restarts, and as a model of the contract. Records
/// are spread over shards, each behind its own lock. Expired records are ignored; each write removes a few, and
/// ``run()`` removes the rest. The number of records is not limited, because forgetting one would let its operation run
/// twice.
///
/// ```swift
/// let store = MemoryStore()
/// ```
public final class MemoryStore: TransactionalStore {
    private let shards: [MemoryShard]
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
        _ step: @Sendable (inout IdempotencyRecord?, Timestamp) throws -> Result
    ) throws -> Result {
        try self.shard(of: key).transact(key, time: self.time, step)
    }
}

extension MemoryStore: KeyInspecting {
    /// One page of records: in the order of the table, or by key if only unknown ones are asked for.
    public func records(
        in state: RecordState?,
        after cursor: String?,
        limit: Int
    ) throws -> (records: [RecordSummary], next: String?) {
        if state == .unknown { return self.unknownRecords(after: cursor, limit: max(1, limit)) }
        var position: TablePosition? = try cursor.map { try TablePosition($0) } ?? TablePosition()
        var records: [RecordSummary] = []
        while let current = position, records.count < max(1, limit) {
            let (summaries, next) = self.summaries(at: current)
            records += summaries.filter { state == nil || $0.state == state }
            position = next
        }
        return (records, position?.cursor)
    }

    private func unknownRecords(after cursor: String?, limit: Int) -> (records: [RecordSummary], next: String?) {
        let sorted = self.unknownRecords().map { (name: $0.key.description, record: $0) }.sorted { $0.name < $1.name }
        let rest = sorted.drop { entry in cursor.map { entry.name <= $0 } ?? false }
        let page = rest.prefix(limit)
        let next = page.endIndex == rest.endIndex ? nil : page.last?.name
        return (page.map(\.record), next)
    }

    private func unknownRecords() -> [RecordSummary] {
        let now = self.time.now
        return self.shards.flatMap { $0.unknownSummaries(now: now) }
    }

    private func summaries(at position: TablePosition) -> ([RecordSummary], next: TablePosition?) {
        guard position.shard < self.shards.count else { return ([], nil) }
        let (summaries, slot) = self.shards[position.shard].summaries(from: position.slot, now: self.time.now)
        if let slot { return (summaries, TablePosition(shard: position.shard, slot: slot)) }
        let isLast = position.shard + 1 == self.shards.count
        return (summaries, isLast ? nil : TablePosition(shard: position.shard + 1, slot: 0))
    }
}

extension MemoryStore: RecordCounting {
    /// Counts the records.
    package func statistics() -> StoreStatistics {
        var statistics = StoreStatistics()
        var position: TablePosition? = TablePosition()
        while let current = position {
            let (summaries, next) = self.summaries(at: current)
            for summary in summaries { statistics.count(summary) }
            position = next
        }
        return statistics
    }

    /// Counts the records whose outcome is unknown.
    package func unknownCount() -> Int { self.unknownRecords().count }
}

extension MemoryStore: ExpirySweeping {
    /// Deletes some expired records, a few at a time.
    package func sweepExpired(limit: Int) -> Int {
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

/// Where a listing of a ``MemoryStore`` stands.
private struct TablePosition {
    var shard = 0
    var slot = 0

    init(shard: Int = 0, slot: Int = 0) {
        self.shard = shard
        self.slot = slot
    }

    init(_ cursor: String) throws(StoreError) {
        let numbers = cursor.split(separator: ".").compactMap { Int($0) }
        guard numbers.count == 2, numbers.allSatisfy({ $0 >= 0 }) else {
            throw StoreError(.misconfigured, "The cursor is none of this store.")
        }
        self.init(shard: numbers[0], slot: numbers[1])
    }

    var cursor: String { "\(self.shard).\(self.slot)" }
}
