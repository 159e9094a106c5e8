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

    init(key: StorageKey, header: RecordHeader, readAt: Timestamp) {
        self.key = key
        self.header = header
        self.readAt = readAt
    }

    /// Whether an attempt owned the key and let its lease end.
    public var isAbandoned: Bool { self.header?.isAbandoned(at: self.readAt) ?? false }

    /// Whether the record's time is over.
    ///
    /// That of a damaged one is not known.
    public var isExpired: Bool { self.header.map { $0.expires <= self.readAt } ?? false }
}
