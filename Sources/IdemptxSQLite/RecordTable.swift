import Foundation
import GRDB
import Idemptx

/// The one table of the file: a record per key, in the binary form of `RecordCodec`.
enum RecordTable {
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
        return try rows.map { row in
            guard let key = StorageKey(bytes: row["key"] as Data) else {
                throw StoreError(.corruptRecord, "A record has a key of the wrong size.")
            }
            let header = try RecordCodec.decodeHeader(Array(row["header"] as Data))
            return RecordSummary(key: key, header: header, readAt: now)
        }
    }

    static func statistics(now: Timestamp, in db: Database) throws -> StoreStatistics {
        let headers = try Data.fetchCursor(
            db, sql: "SELECT substr(content, 1, ?) FROM record WHERE expires > ?",
            arguments: [RecordCodec.headerSize, now.milliseconds])
        var statistics = StoreStatistics()
        while let header = try headers.next() {
            statistics.count(try RecordCodec.decodeHeader(Array(header)), at: now)
        }
        return statistics
    }
}
