/// A store that lets an operator look at its records and settle them by hand.
public protocol KeyInspecting: Sendable {
    /// The record of one key.
    ///
    /// - Parameter key: The record in question.
    /// - Returns: The record, or `nil` if there is none or it has expired.
    /// - Throws: ``StoreError``.
    func record(for key: StorageKey) async throws -> RecordSnapshot?

    /// One page of records, in an order of the store's choosing.
    ///
    /// A record that exists all the while is on some page; a store whose table grows meanwhile may list it twice. Others
    /// may be missed.
    ///
    /// - Parameters:
    ///   - cursor: ``RecordPage/next`` of the page before; `nil` for the first page.
    ///   - limit: How many records to read, about.
    /// - Returns: The page.
    /// - Throws: ``StoreError``.
    func records(after cursor: ListingCursor?, limit: Int) async throws -> RecordPage

    /// Frees a key whose attempt has not ended, so that the next claim runs the operation.
    ///
    /// - Parameters:
    ///   - key: The record in question.
    ///   - force: Whether to do so while the lease is running, which lets the operation run twice.
    /// - Returns: What happened.
    /// - Throws: ``StoreError``.
    func release(_ key: StorageKey, force: Bool) async throws -> OperatorRelease

    /// Deletes a record in whatever state, so that the next claim runs the operation.
    ///
    /// - Parameter key: The record in question.
    /// - Returns: Whether there was one, readable or not.
    /// - Throws: ``StoreError``.
    func remove(_ key: StorageKey) async throws -> Bool

    /// Counts the records.
    ///
    /// - Returns: How many records are in which state.
    /// - Throws: ``StoreError``.
    func statistics() async throws -> StoreStatistics
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
    ///   - readAt: When it was read, on the store's clock.
    public init(key: StorageKey, header: [UInt8], readAt: Timestamp) {
        self.key = key
        self.header = try? RecordCodec.decodeHeader(header)
        self.readAt = readAt
    }

    /// Whether an attempt owned the key and let its lease end.
    public var isAbandoned: Bool { self.header?.isAbandoned(at: self.readAt) ?? false }

    /// Whether the record's time is over.
    ///
    /// That of a damaged one is not known.
    public var isExpired: Bool { self.header.map { $0.expires <= self.readAt } ?? false }
}

/// Where a listing of records goes on.
public struct ListingCursor: Hashable, Sendable {
    /// A text that only the store that made it understands.
    public let rawValue: String

    /// Creates a cursor.
    ///
    /// - Parameter rawValue: A text that the store understands.
    public init(rawValue: String) {
        self.rawValue = rawValue
    }
}

/// One page of records.
public struct RecordPage: Hashable, Sendable {
    /// The records, as far as they have not expired.
    public let records: [RecordSummary]

    /// Where the next page starts; `nil` if this is the last.
    public let next: ListingCursor?

    /// Creates a page.
    ///
    /// - Parameters:
    ///   - records: The records.
    ///   - next: Where the next page starts; `nil` if this is the last.
    public init(records: [RecordSummary], next: ListingCursor?) {
        self.records = records
        self.next = next
    }
}

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

    /// Records that are damaged, or of a later version of their format.
    public var unreadable = 0

    /// No records.
    public init() {}

    /// All records.
    public var total: Int { self.claimed + self.abandoned + self.completed + self.tombstones + self.unreadable }

    /// Counts one more record.
    ///
    /// - Parameter record: The record.
    public mutating func count(_ record: RecordSummary) {
        switch record.header?.phase {
        case .claimed: if record.isAbandoned { self.abandoned += 1 } else { self.claimed += 1 }
        case .response: self.completed += 1
        case .tombstone: self.tombstones += 1
        case nil: self.unreadable += 1
        }
    }
}
