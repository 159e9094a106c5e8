/// Where a record stands at a moment.
public enum RecordState: String, Hashable, Sendable, CaseIterable {
    /// An attempt runs under its lease.
    case claimed
    /// The lease of an attempt ended without an outcome.
    case unknown
    /// There is a response to replay.
    case completed
    /// The operation is done; its response is not kept.
    case tombstone
    /// The key was released; the number of its last attempt is remembered.
    case free
    /// The record is damaged, or of a later version of its format.
    case unreadable
}

/// A record in a listing.
public struct RecordSummary: Hashable, Sendable {
    /// The name of the record.
    public let key: StorageKey

    /// The record without its outcome; `nil` if it is damaged, or of a later version of its format.
    public let header: RecordHeader?

    /// When it was read, on the store's clock, which also made the times in ``header``.
    public let readAt: Timestamp

    /// Creates a summary.
    ///
    /// - Parameters:
    ///   - key: The name of the record.
    ///   - header: The first ``RecordCodec/headerSize`` bytes, or more, of the record's binary form.
    ///   - expires: When the store lets the record expire, if its times are relative to that.
    ///   - readAt: When it was read, on the store's clock.
    public init(key: StorageKey, header: [UInt8], expires: Timestamp? = nil, readAt: Timestamp) {
        self.key = key
        self.header = try? RecordCodec.decodeHeader(header, expires: expires)
        self.readAt = readAt
    }

    /// Creates a summary of a record that has been read already.
    ///
    /// - Parameters:
    ///   - key: The name of the record.
    ///   - header: The record without its outcome.
    ///   - readAt: When it was read, on the store's clock.
    public init(key: StorageKey, header: RecordHeader, readAt: Timestamp) {
        self.key = key
        self.header = header
        self.readAt = readAt
    }

    /// Where the record stood when it was read.
    public var state: RecordState {
        switch self.header?.phase {
        case .claimed(let leaseEnd): leaseEnd <= self.readAt ? .unknown : .claimed
        case .response: .completed
        case .tombstone: .tombstone
        case .free: .free
        case nil: .unreadable
        }
    }

    /// Whether the record's time is over.
    ///
    /// That of a damaged one is not known.
    public var isExpired: Bool { self.header.map { $0.expires <= self.readAt } ?? false }
}

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

/// How many records a store holds.
public struct StoreStatistics: Hashable, Sendable {
    private var counts: [RecordState: Int] = [:]

    /// No records.
    public init() {}

    /// All records.
    public var total: Int { self.counts.values.reduce(0, +) }

    /// How many records are in a state.
    ///
    /// - Parameter state: The state.
    /// - Returns: Their number.
    public func count(of state: RecordState) -> Int { self.counts[state] ?? 0 }

    /// Counts one more record.
    ///
    /// - Parameter record: The record.
    public mutating func count(_ record: RecordSummary) {
        self.counts[record.state, default: 0] += 1
    }
}
