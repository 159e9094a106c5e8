/// A record as an operator sees it.
public struct RecordSnapshot: Hashable, Sendable {
    /// The name of the record.
    public let key: StorageKey

    /// The record.
    public let record: IdempotencyRecord

    /// When it was read, on the store's clock, which also made the times in ``record``.
    public let readAt: Timestamp

    /// Creates a snapshot.
    ///
    /// - Parameters:
    ///   - key: The name of the record.
    ///   - record: The record.
    ///   - readAt: When it was read, on the store's clock.
    public init(key: StorageKey, record: IdempotencyRecord, readAt: Timestamp) {
        self.key = key
        self.record = record
        self.readAt = readAt
    }

    /// The same without the outcome, as in a listing.
    public var summary: RecordSummary {
        RecordSummary(key: self.key, header: RecordHeader(self.record), readAt: self.readAt)
    }
}
