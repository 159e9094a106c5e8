import Idemptx

/// Reads the columns of a row one after the other.
struct RowReader {
    private let values: [PostgresValue]
    private var position = 0

    init(_ row: [PostgresValue]?) throws(StoreError) {
        guard let row else { throw .unexpectedRow }
        self.values = row
    }

    private mutating func next() throws(StoreError) -> PostgresValue {
        guard self.position < self.values.count else { throw .unexpectedRow }
        defer { self.position += 1 }
        return self.values[self.position]
    }

    mutating func optionalInteger() throws(StoreError) -> Int64? {
        switch try self.next() {
        case .integer(let number): number
        case .null: nil
        default: throw .unexpectedRow
        }
    }

    mutating func integer() throws(StoreError) -> Int64 {
        guard let number = try self.optionalInteger() else { throw .unexpectedRow }
        return number
    }

    mutating func timestamp() throws(StoreError) -> Timestamp { Timestamp(milliseconds: try self.integer()) }

    mutating func optionalTimestamp() throws(StoreError) -> Timestamp? {
        try self.optionalInteger().map { Timestamp(milliseconds: $0) }
    }

    mutating func optionalBytes() throws(StoreError) -> [UInt8]? {
        switch try self.next() {
        case .bytes(let bytes): bytes
        case .null: nil
        default: throw .unexpectedRow
        }
    }

    mutating func bytes() throws(StoreError) -> [UInt8] {
        guard let bytes = try self.optionalBytes() else { throw .unexpectedRow }
        return bytes
    }

    mutating func text() throws(StoreError) -> String {
        guard case .text(let text) = try self.next() else { throw .unexpectedRow }
        return text
    }

    mutating func optionalBoolean() throws(StoreError) -> Bool? {
        switch try self.next() {
        case .boolean(let isTrue): isTrue
        case .null: nil
        default: throw .unexpectedRow
        }
    }

    mutating func boolean() throws(StoreError) -> Bool {
        guard let isTrue = try self.optionalBoolean() else { throw .unexpectedRow }
        return isTrue
    }

    /// How an operation ended; `nil` if it has not.
    mutating func outcome() throws(StoreError) -> Outcome? {
        let (status, head, body) = (try self.optionalInteger(), try self.optionalBytes(), try self.optionalBytes())
        guard let status else { return nil }
        return try OutcomeColumns(status: status, head: head ?? [], body: body).outcome()
    }

    /// The columns of a record but for its outcome.
    ///
    /// - Returns: A record whose header is `nil` if what the row says cannot be.
    mutating func summary() throws(StoreError) -> (key: StorageKey, header: RecordHeader?, readAt: Timestamp) {
        let readAt = try self.timestamp()
        guard let key = StorageKey(bytes: try self.bytes()) else { throw .unexpectedRow }
        let (owner, recipe, digest) = (try self.bytes(), try self.integer(), try self.bytes())
        let (attempt, created, expires) = (try self.integer(), try self.timestamp(), try self.timestamp())
        let unknownSince = try self.optionalTimestamp()
        let (state, leaseEnd) = (RecordState(column: try self.integer()), try self.optionalTimestamp())
        guard let owner = OwnerToken(bytes: owner), let state, attempt > 0, (state == .claimed) == (leaseEnd != nil),
            let fingerprint = Fingerprint(recipe: UInt32(truncatingIfNeeded: recipe), digestBytes: digest)
        else { return (key, nil, readAt) }
        let header = RecordHeader(
            fingerprint: fingerprint, owner: owner, attempt: Int(attempt), created: created, expires: expires,
            unknownSince: unknownSince, state: state, leaseEnd: leaseEnd)
        return (key, header, readAt)
    }
}

extension RecordState {
    /// The state that a number stands for in the table.
    init?(column: Int64) {
        switch column {
        case 1: self = .claimed
        case 2: self = .completed
        case 3: self = .tombstone
        case 4: self = .free
        default: return nil
        }
    }
}

extension StoreError {
    static var unexpectedRow: StoreError {
        StoreError(.replyLost, "PostgreSQL sent a row that the statement does not make.")
    }
}
