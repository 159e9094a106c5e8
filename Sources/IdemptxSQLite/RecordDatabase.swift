import GRDB
import Idemptx

/// The open file: its connections, its settings and its schema.
struct RecordDatabase: Sendable {
    let pool: DatabasePool

    init(path: String, mustHoldRecords: Bool = false, busyTimeout: Duration) throws(StoreError) {
        do {
            if mustHoldRecords { try Self.checkRecords(path: path) }
            var configuration = Configuration()
            configuration.label = "idemptx"
            // GRDB would end the process if a failed transaction could not be rolled back.
            configuration.allowsUnsafeTransactions = true
            configuration.busyMode = .timeout(busyTimeout / .seconds(1))
            self.pool = try DatabasePool(path: path, configuration: configuration)
            try self.pool.writeWithoutTransaction(Self.makeDurable)
            try self.migrate()
        } catch let error as StoreError {
            throw error
        } catch {
            throw StoreError(
                .misconfigured, "The SQLite file cannot be opened: \(StoreError.describe(error)).",
                underlyingError: error)
        }
    }

    /// Looks whether there are records, without a chance to change anything.
    private static func checkRecords(path: String) throws {
        var configuration = Configuration()
        configuration.readonly = true
        let holdsRecords = try DatabaseQueue(path: path, configuration: configuration).read { db in
            try db.tableExists(RecordTable.name) && db.tableExists("grdb_migrations")
        }
        guard holdsRecords else {
            throw StoreError(.misconfigured, "The SQLite file holds no records of idemptx.")
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

    private func migrate() throws {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1: records", migrate: RecordTable.create)
        guard try !self.pool.read(migrator.hasBeenSuperseded) else {
            throw StoreError(.misconfigured, "The SQLite file was made by a later version of idemptx.")
        }
        do {
            try migrator.migrate(self.pool)
        } catch {
            // GRDB looks up what has been done before it locks the file. Of several processes that open a new one
            // together, all but one fail, and find it done when they look again.
            try migrator.migrate(self.pool)
        }
    }

    /// Reads in a snapshot of its own, beside the writer.
    func read<Value: Sendable>(
        _ value: @escaping @Sendable (Database) throws -> Value
    ) async throws(StoreError) -> Value {
        do {
            return try await self.pool.read(value)
        } catch {
            throw StoreError(sqlite: error)
        }
    }
}
