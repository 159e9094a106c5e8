import Idemptx

/// A record as it stands in Redis: its bytes, and how long they are kept.
///
/// The times of the record are relative to the expiry of its key, which only the server keeps. A record that is kept for good
/// has a far expiry all the same, so that the end of a lease can be told from it.
struct StoredRecord {
    /// More than a thousand years.
    private static let forGood: Int64 = 1 << 45
    /// Larger outcomes are kept apart, so that they do not delay the replies to other callers.
    private static let largeSize = 16 << 10
    private static let century: Int64 = 3_155_760_000_000

    /// The bytes under the record's own key: all, or the header if the outcome is under another.
    let bytes: [UInt8]
    /// The whole record, if it is too large to be under one key with its header.
    let detached: [UInt8]?
    /// In milliseconds.
    let lifetime: Int64
    /// From now on, in milliseconds; 0 if the record is not claimed.
    let lease: Int64
    let isClaimed: Bool

    /// - Parameters:
    ///   - record: The record to store.
    ///   - now: The moment to which its times refer.
    init(_ record: IdempotencyRecord, now: Timestamp) {
        var lease: Int64 = 0
        var isClaimed = false
        if case .claimed(let leaseEnd) = record.state {
            isClaimed = true
            lease = min(max(0, now.duration(to: leaseEnd).wholeMilliseconds), Self.century)
        }
        let lifetime =
            record.expires == .distantFuture
            ? lease + Self.forGood
            : min(max(1, now.duration(to: record.expires).wholeMilliseconds), max(lease, Self.century))
        var record = record
        record.expires = now.advanced(by: .milliseconds(lifetime))
        if isClaimed { record.state = .claimed(leaseEnd: now.advanced(by: .milliseconds(lease))) }
        let bytes = RecordCodec.encode(record, relativeToExpiry: true)
        let isLarge = bytes.count > Self.largeSize
        self.bytes = isLarge ? Array(bytes.prefix(RecordCodec.headerSize)) : bytes
        self.detached = isLarge ? bytes : nil
        self.lifetime = lifetime
        self.lease = lease
        self.isClaimed = isClaimed
    }

    /// How long before the expiry the lease ends, as the record says it.
    var span: [UInt8] { Array(self.bytes[8..<16]) }

    /// The expiry of a key with so much of its life left; negative stands for one that does not expire.
    static func expiry(lifetime: Int64, now: Timestamp) -> Timestamp {
        lifetime < 0 ? .distantFuture : now.advanced(by: .milliseconds(lifetime))
    }

    /// Reads a record or its header, whose expiry can be one that stands for never.
    static func decode(_ bytes: [UInt8], lifetime: Int64, now: Timestamp) throws(StoreError) -> IdempotencyRecord {
        var record = try RecordCodec.decode(bytes, expires: self.expiry(lifetime: lifetime, now: now))
        if lifetime > self.forGood / 2 { record.expires = .distantFuture }
        return record
    }

    /// Whether these bytes are the header of a record whose outcome is under another key.
    static func isDetached(_ bytes: [UInt8]) -> Bool {
        // A stored response is never empty.
        bytes.count == RecordCodec.headerSize && bytes[0] == 2 && bytes[1] == 2
    }
}

/// What scripts and commands read as arguments.
extension [UInt8] {
    static let none: [UInt8] = []

    static func text(_ text: String) -> [UInt8] { Array(text.utf8) }

    static func flag(_ isSet: Bool) -> [UInt8] { [isSet ? UInt8(ascii: "1") : UInt8(ascii: "0")] }

    static func number(_ number: Int64) -> [UInt8] { Array("\(number)".utf8) }
}
