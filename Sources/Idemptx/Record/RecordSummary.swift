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

/// A record as an operator sees it.
public struct RecordSummary: Hashable, Sendable {
    /// The name of the record.
    public let key: StorageKey

    /// The record without its outcome; `nil` if it is damaged, or of a later version of its format.
    package let header: RecordHeader?

    /// How the operation ended; a listing leaves it out.
    package let outcome: Outcome?

    /// When it was read, on the store's clock, which also made the times in ``header``.
    package let readAt: Timestamp

    /// Creates a summary from the parts of a record.
    ///
    /// - Parameters:
    ///   - key: The name of the record.
    ///   - header: The record without its outcome; `nil` if it cannot be read.
    ///   - outcome: How the operation ended; `nil` if it has not, or if that was not read.
    ///   - readAt: When it was read, on the store's clock.
    package init(key: StorageKey, header: RecordHeader?, outcome: Outcome? = nil, readAt: Timestamp) {
        self.key = key
        self.header = header
        self.outcome = outcome
        self.readAt = readAt
    }

    /// Creates a summary.
    ///
    /// - Parameters:
    ///   - key: The name of the record.
    ///   - record: The record.
    ///   - readAt: When it was read, on the store's clock.
    public init(key: StorageKey, record: IdempotencyRecord, readAt: Timestamp) {
        self.init(key: key, header: RecordHeader(record), outcome: record.outcome, readAt: readAt)
    }

    /// Creates a summary of a record of which only the header was read.
    ///
    /// - Parameters:
    ///   - key: The name of the record.
    ///   - header: The first `RecordCodec/headerSize` bytes, or more, of the record's binary form.
    ///   - expires: When the store lets the record expire, if its times are relative to that.
    ///   - readAt: When it was read, on the store's clock.
    package init(key: StorageKey, header: [UInt8], expires: Timestamp? = nil, readAt: Timestamp) {
        self.init(key: key, header: try? RecordCodec.decodeHeader(header, expires: expires), readAt: readAt)
    }

    /// Where the record stood when it was read.
    public var state: RecordState {
        guard let header else { return .unreadable }
        guard let leaseEnd = header.leaseEnd, leaseEnd <= self.readAt else { return header.state }
        return .unknown
    }

    /// The number of the attempt that has the key or completed it; `nil` if the record cannot be read.
    public var attempt: Int? { self.header?.attempt }

    /// How long ago the key was first claimed; `nil` if the record cannot be read.
    public var age: Duration? { self.header?.created.duration(to: self.readAt) }

    /// Whether the record's time is over.
    ///
    /// That of a damaged one is not known.
    package var isExpired: Bool { self.header.map { $0.expires <= self.readAt } ?? false }
}

/// How many records a store holds.
package struct StoreStatistics: Hashable, Sendable {
    private var counts: [RecordState: Int] = [:]

    package init() {}

    /// All records.
    package var total: Int { self.counts.values.reduce(0, +) }

    /// How many records are in a state.
    package func count(of state: RecordState) -> Int { self.counts[state] ?? 0 }

    /// Counts one more record.
    package mutating func count(_ record: RecordSummary) {
        self.count(record.state, 1)
    }

    /// Counts so many more records in a state.
    package mutating func count(_ state: RecordState, _ number: Int) {
        self.counts[state, default: 0] += number
    }
}
