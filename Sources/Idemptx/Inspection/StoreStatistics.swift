/// How many records a store holds.
public struct StoreStatistics: Hashable, Sendable {
    /// Attempts under a running lease.
    public var claimed = 0

    /// Attempts whose lease is over.
    public var abandoned = 0

    /// Operations with an answer to replay.
    public var completed = 0

    /// Operations whose answer is not kept.
    public var tombstones = 0

    /// Keys that were released, and whose number of attempts is remembered.
    public var free = 0

    /// Records that are damaged, or of a later version of their format.
    public var unreadable = 0

    /// No records.
    public init() {}

    /// All records.
    public var total: Int { self.claimed + self.abandoned + self.completed + self.tombstones + self.free + self.unreadable }

    /// Counts one more record.
    ///
    /// - Parameter record: The record.
    public mutating func count(_ record: RecordSummary) {
        switch record.header?.phase {
        case .claimed: if record.isAbandoned { self.abandoned += 1 } else { self.claimed += 1 }
        case .response: self.completed += 1
        case .tombstone: self.tombstones += 1
        case .free: self.free += 1
        case nil: self.unreadable += 1
        }
    }
}
