import Foundation
import GRDB
import Idemptx

/// The one table of the file: a record per key, in the binary form of `RecordCodec`.
enum RecordTable {
    static let name = "idemptx_record"

    /// Creates the table of this version, unless it is there.
    static func create(in db: Database) throws {
        // Not WITHOUT ROWID: a response can be far larger than what such a table is good for.
        try db.execute(
            sql: """
                CREATE TABLE IF NOT EXISTS idemptx_record (
                    key BLOB NOT NULL PRIMARY KEY,
                    expires INTEGER NOT NULL,
                    lease_end INTEGER,
                    content BLOB NOT NULL
                ) STRICT;
                CREATE INDEX IF NOT EXISTS idemptx_record_by_expiry ON idemptx_record (expires);
                CREATE INDEX IF NOT EXISTS idemptx_record_by_lease ON idemptx_record (lease_end, key)
                    WHERE lease_end IS NOT NULL;
                """)
    }

    // MARK: The first version

    static let firstName = "record"

    static func createFirst(in db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE record (
                    key BLOB NOT NULL PRIMARY KEY,
                    expires INTEGER NOT NULL,
                    content BLOB NOT NULL
                ) STRICT;
                CREATE INDEX record_by_expiry ON record (expires);
                """)
    }

    /// Turns the table of the first version into that of this one.
    ///
    /// The records keep their form until they change.
    static func migrateFirst(in db: Database) throws {
        try db.execute(
            sql: """
                DROP INDEX record_by_expiry;
                ALTER TABLE record RENAME TO idemptx_record;
                ALTER TABLE idemptx_record ADD COLUMN lease_end INTEGER;
                """)
        let claimed = try Row.fetchAll(
            db, sql: "SELECT rowid, content FROM idemptx_record WHERE substr(content, 2, 1) = x'01'")
        for row in claimed {
            guard let record = try? RecordCodec.decode(Array(row["content"] as Data)) else { continue }
            try db.execute(
                sql: "UPDATE idemptx_record SET lease_end = ? WHERE rowid = ?",
                arguments: [record.leaseEnd, row["rowid"] as Int64])
        }
        try self.create(in: db)
    }

    // MARK: One record

    static func record(_ key: StorageKey, in db: Database) throws -> IdempotencyRecord? {
        let statement = try db.cachedStatement(sql: self.select)
        return try Data.fetchOne(statement, arguments: [Data(key.bytes)]).map { try RecordCodec.decode(Array($0)) }
    }

    /// Parameter: key.
    static let select = "SELECT content FROM idemptx_record WHERE key = ?"

    /// Parameters: key, expiry, end of the lease, content.
    static let upsert = """
        INSERT INTO idemptx_record (key, expires, lease_end, content) VALUES (?, ?, ?, ?)
        ON CONFLICT (key) DO UPDATE
        SET expires = excluded.expires, lease_end = excluded.lease_end, content = excluded.content
        """

    /// - Returns: Whether there was a record.
    @discardableResult
    static func remove(_ key: StorageKey, in db: Database) throws -> Bool {
        try db.cachedStatement(sql: "DELETE FROM idemptx_record WHERE key = ?").execute(arguments: [Data(key.bytes)])
        return db.changesCount > 0
    }

    /// Whether the time of a record is over; `false` if there is none.
    static func isExpired(_ key: StorageKey, now: Timestamp, in db: Database) throws -> Bool {
        let statement = try db.cachedStatement(sql: "SELECT 1 FROM idemptx_record WHERE key = ? AND expires <= ?")
        return try Int.fetchOne(statement, arguments: [Data(key.bytes), now.milliseconds]) != nil
    }

    // MARK: Many records

    /// How much one transaction of a sweep may delete.
    struct SweepBounds {
        var records: Int
        /// Each megabyte is some 250 pages, which have to be read one after the other.
        var bytes = 1 << 20
        var time = Duration.milliseconds(10)
    }

    /// Deletes expired records until a bound is reached, and at least one.
    ///
    /// - Returns: How many were deleted, and whether some may be left.
    static func sweep(_ bounds: SweepBounds, now: Timestamp, in db: Database) throws -> (count: Int, hasMore: Bool) {
        let start = ContinuousClock.now
        // The length of a blob is part of the row: its pages are not read for it.
        let expired = try Row.fetchAll(
            db.cachedStatement(
                sql: """
                    SELECT rowid, length(content) AS size FROM idemptx_record
                    WHERE expires <= ? ORDER BY expires LIMIT ?
                    """),
            arguments: [now.milliseconds, bounds.records])
        let delete = try db.cachedStatement(sql: "DELETE FROM idemptx_record WHERE rowid = ?")
        var (count, bytes) = (0, 0)
        for row in expired {
            try delete.execute(arguments: [row["rowid"] as Int64])
            count += 1
            bytes += row["size"] as Int
            if bytes >= bounds.bytes || start.duration(to: .now) >= bounds.time { break }
        }
        return (count, count < expired.count || expired.count == bounds.records)
    }

    private static let summaryColumns = "SELECT key, substr(content, 1, \(RecordCodec.headerSize)) AS header"

    /// The records that have not expired, without their outcomes, sorted by key.
    static func summaries(
        after key: StorageKey?,
        limit: Int,
        now: Timestamp,
        in db: Database
    ) throws -> [RecordSummary] {
        let rows = try Row.fetchAll(
            db,
            sql: """
                \(self.summaryColumns) FROM idemptx_record WHERE key > ? AND expires > ? ORDER BY key LIMIT ?
                """,
            arguments: [Data(key?.bytes ?? []), now.milliseconds, limit])
        return rows.compactMap { self.summary($0, readAt: now) }
    }

    /// Where a listing of unknown records stands.
    struct UnknownPosition {
        var leaseEnd = Int64.min
        var key: [UInt8] = []
    }

    /// The records whose outcome is unknown, those first whose lease ended first, by an index that holds nothing but
    /// records without an outcome.
    static func unknownSummaries(
        after position: UnknownPosition,
        limit: Int,
        now: Timestamp,
        in db: Database
    ) throws -> (records: [RecordSummary], last: UnknownPosition?) {
        let rows = try Row.fetchAll(
            db,
            sql: """
                \(self.summaryColumns), lease_end FROM idemptx_record INDEXED BY idemptx_record_by_lease
                WHERE lease_end <= ? AND (lease_end, key) > (?, ?) AND expires > ? ORDER BY lease_end, key LIMIT ?
                """,
            arguments: [now.milliseconds, position.leaseEnd, Data(position.key), now.milliseconds, limit])
        let last = rows.last.map { row in
            UnknownPosition(leaseEnd: row["lease_end"], key: Array(row["key"] as Data))
        }
        return (rows.compactMap { self.summary($0, readAt: now) }, rows.count < limit ? nil : last)
    }

    private static func summary(_ row: Row, readAt: Timestamp) -> RecordSummary? {
        StorageKey(bytes: row["key"] as Data).map { key in
            RecordSummary(key: key, header: Array(row["header"] as Data), readAt: readAt)
        }
    }

    static func unknownCount(now: Timestamp, in db: Database) throws -> Int {
        let statement = try db.cachedStatement(
            sql: """
                SELECT count(*) FROM idemptx_record INDEXED BY idemptx_record_by_lease
                WHERE lease_end <= ? AND expires > ?
                """)
        return try Int.fetchOne(statement, arguments: [now.milliseconds, now.milliseconds]) ?? 0
    }

    static func statistics(now: Timestamp, in db: Database) throws -> StoreStatistics {
        var statistics = StoreStatistics()
        var page: [RecordSummary] = []
        repeat {
            page = try self.summaries(after: page.last?.key, limit: 1000, now: now, in: db)
            for record in page { statistics.count(record) }
        } while !page.isEmpty
        return statistics
    }
}

extension IdempotencyRecord {
    /// When the lease ends; `nil` unless the record is claimed.
    var leaseEnd: Int64? {
        guard case .claimed(let leaseEnd) = self.state else { return nil }
        return leaseEnd.milliseconds
    }
}
