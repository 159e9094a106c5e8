import Foundation
import GRDB
import GRDBSQLite
import Idemptx

/// The open database: its connections, its settings and its schema.
struct RecordDatabase: Sendable {
    /// What writes, and reads unless ``pool`` does.
    let writer: any DatabaseWriter

    /// Connections of the store's own; `nil` in the application's database, which it must be able to close.
    ///
    /// They can be read from at once, in the thread of the caller: in WAL mode a reader never waits.
    private let readers: RecordReaders?

    /// The file that the store opened itself; `nil` for the application's database.
    let file: DatabaseFile?

    /// Opens a file of its own.
    init(path: String, mustHoldRecords: Bool = false, busyTimeout: Duration) throws(StoreError) {
        do {
            if mustHoldRecords { try Self.checkRecords(path: path) } else { Self.createPrivately(path) }
            var configuration = Configuration()
            configuration.label = "idemptx"
            // GRDB would end the process if a failed transaction could not be rolled back.
            configuration.allowsUnsafeTransactions = true
            configuration.busyMode = .timeout(busyTimeout / .seconds(1))
            let pool = try DatabasePool(path: path, configuration: configuration)
            // Operators may look at what they cannot change.
            if !mustHoldRecords { try pool.writeWithoutTransaction(Self.checkWritable) }
            try pool.writeWithoutTransaction(Self.makeDurable)
            try Self.migrate(pool)
            self.writer = pool
            self.readers = try RecordReaders(path: path, busyTimeout: busyTimeout)
            self.file = DatabaseFile(path: path)
        } catch let error as StoreError {
            throw error
        } catch {
            throw StoreError(
                .misconfigured, "The SQLite file cannot be opened: \(StoreError.describe(error)).",
                underlyingError: error)
        }
    }

    /// Uses the application's own database.
    ///
    /// Its settings are the application's business, and so are its other tables: the one of the store is created
    /// without a trace among the application's own migrations.
    init(_ writer: any DatabaseWriter) throws(StoreError) {
        do {
            // Creating it anew would wait for another process that writes.
            if try !writer.read({ db in try db.tableExists(RecordTable.name) }) {
                try writer.write(RecordTable.create)
            }
            self.writer = writer
            self.readers = nil
            self.file = nil
        } catch {
            throw StoreError(
                .misconfigured, "The table of records cannot be created: \(StoreError.describe(error)).",
                underlyingError: error)
        }
    }

    /// Creates the file so that only its owner can read it: it holds responses.
    ///
    /// SQLite gives the files beside it the same permissions. A file that is there already keeps its own, and an
    /// invalid path is left for SQLite to report.
    private static func createPrivately(_ path: String) {
        let descriptor = unsafe open(path, O_CREAT | O_EXCL | O_RDWR, 0o600)
        if descriptor >= 0 { close(descriptor) }
    }

    /// Checks whether there are records, read-only.
    private static func checkRecords(path: String) throws {
        var configuration = Configuration()
        configuration.readonly = true
        let holdsRecords = try DatabaseQueue(path: path, configuration: configuration).read { db in
            let isFirstVersion = try db.tableExists(RecordTable.firstName) && db.tableExists("grdb_migrations")
            return try isFirstVersion || db.tableExists(RecordTable.name)
        }
        guard holdsRecords else {
            throw StoreError(.misconfigured, "The SQLite file holds no records of idemptx.")
        }
    }

    /// SQLite silently opens a file read-only if it may not write to it.
    private static func checkWritable(_ db: Database) throws {
        guard unsafe sqlite3_db_readonly(db.sqliteConnection, "main") == 0 else {
            throw StoreError(.misconfigured, "The SQLite file cannot be written: its permissions do not allow it.")
        }
    }

    /// Sets what GRDB leaves weaker: it chooses `synchronous=NORMAL` when it turns WAL on, after its own hook for
    /// settings has run, and a power cut would then take back what has been reported.
    private static func makeDurable(_ db: Database) throws {
        try db.execute(sql: "PRAGMA synchronous = FULL")
        // Where plain fsync does not reach the platter, as on macOS.
        try db.execute(sql: "PRAGMA fullfsync = ON")
        try db.execute(sql: "PRAGMA checkpoint_fullfsync = ON")
    }

    private static let firstMigration = "1: records"

    private static func migrate(_ pool: DatabasePool) throws {
        var migrator = DatabaseMigrator()
        migrator.registerMigration(Self.firstMigration, migrate: RecordTable.createFirst)
        migrator.registerMigration("2: unknown outcomes", migrate: RecordTable.migrateFirst)
        let isApplications = try pool.read { db in
            try db.tableExists(RecordTable.name) && !migrator.appliedIdentifiers(db).contains(Self.firstMigration)
        }
        // A store in the application's own database has made the table without these migrations.
        guard !isApplications else { return try pool.write(RecordTable.create) }
        guard try !pool.read(migrator.hasBeenSuperseded) else {
            throw StoreError(.misconfigured, "The SQLite file was made by a later version of idemptx.")
        }
        do {
            try migrator.migrate(pool)
        } catch {
            // GRDB looks up what has been done before it locks the file. Of several processes that open a new one
            // together, all but one fail, and find it done when they look again.
            try migrator.migrate(pool)
        }
    }

    /// What tells the database from others: the file itself, however it is named.
    var identity: StoreIdentity? {
        DatabaseFile(path: self.writer.path).map { StoreIdentity(name: $0.name) }
    }

    /// Reads in a snapshot of its own, beside the writer.
    func read<Value: Sendable>(
        _ value: @escaping @Sendable (Database) throws -> Value
    ) async throws(StoreError) -> Value {
        do {
            return try await self.writer.read(value)
        } catch {
            throw StoreError(sqlite: error)
        }
    }

    /// Reads a record as it was last committed, by the connections of the application.
    ///
    /// - Returns: `nil` if there is none, if it cannot be read while somebody writes, or if it is read at once.
    func recordInSnapshot(_ key: StorageKey) async throws(StoreError) -> IdempotencyRecord? {
        guard self.readers == nil, self.writer is DatabasePool else { return nil }
        return try await self.read { db in try RecordTable.record(key, in: db) }
    }

    /// Reads a record at once.
    ///
    /// - Returns: `nil` if that is not possible without waiting.
    /// - Throws: `StoreError` if the record is damaged.
    func recordAtOnce(_ key: StorageKey) throws(StoreError) -> IdempotencyRecord?? {
        guard let readers, self.file?.isInPlace != false else { return nil }
        let content: [UInt8]?
        do {
            content = try readers.content(of: key)
        } catch {
            // The writer finds out, with its deadline.
            return nil
        }
        guard let content else { return .some(nil) }
        return try RecordCodec.decode(content)
    }
}
