import Foundation
import GRDB
import Idemptx

/// The one table of the file: a record per key, in the binary form of `RecordCodec`.
enum RecordTable {
    static let name = "record"

    static func create(in db: Database) throws {
        // Not WITHOUT ROWID: an answer can be far larger than what such a table is good for.
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

    static func record(_ key: StorageKey, in db: Database) throws -> IdempotencyRecord? {
        let statement = try db.cachedStatement(sql: "SELECT content FROM record WHERE key = ?")
        return try Data.fetchOne(statement, arguments: [Data(key.bytes)]).map { try RecordCodec.decode(Array($0)) }
    }

    /// Whether the time of a record is over; `false` if there is none.
    static func isExpired(_ key: StorageKey, now: Timestamp, in db: Database) throws -> Bool {
        let statement = try db.cachedStatement(sql: "SELECT 1 FROM record WHERE key = ? AND expires <= ?")
        return try Int.fetchOne(statement, arguments: [Data(key.bytes), now.milliseconds]) != nil
    }

    static func write(_ record: IdempotencyRecord, for key: StorageKey, in db: Database) throws {
        try db.cachedStatement(
            sql: """
                INSERT INTO record (key, expires, content) VALUES (?, ?, ?)
                ON CONFLICT (key) DO UPDATE SET expires = excluded.expires, content = excluded.content
                """
        ).execute(arguments: [Data(key.bytes), record.expires.milliseconds, Data(RecordCodec.encode(record))])
    }

    /// - Returns: Whether there was a record.
    @discardableResult
    static func remove(_ key: StorageKey, in db: Database) throws -> Bool {
        try db.cachedStatement(sql: "DELETE FROM record WHERE key = ?").execute(arguments: [Data(key.bytes)])
        return db.changesCount > 0
    }

    static func sweep(limit: Int, now: Timestamp, in db: Database) throws -> Int {
        try db.cachedStatement(
            sql: """
                DELETE FROM record WHERE rowid IN
                    (SELECT rowid FROM record WHERE expires <= ? ORDER BY expires LIMIT ?)
                """
        ).execute(arguments: [now.milliseconds, limit])
        return db.changesCount
    }

    /// The records that have not expired, without their outcomes, sorted by key.
    static func summaries(after key: StorageKey?, limit: Int, now: Timestamp, in db: Database) throws -> [RecordSummary]
    {
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT key, substr(content, 1, ?) AS header FROM record
                WHERE key > ? AND expires > ? ORDER BY key LIMIT ?
                """,
            arguments: [RecordCodec.headerSize, Data(key?.bytes ?? []), now.milliseconds, limit])
        return rows.compactMap { row in
            StorageKey(bytes: row["key"] as Data).map { key in
                RecordSummary(key: key, header: Array(row["header"] as Data), readAt: now)
            }
        }
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
