import GRDB
import Idemptx
import IdemptxSQLite
import Synchronization

/// A store whose transactions find the file locked by another process, and its claims do not.
final class LockableStore: TransactionJoining {
    private let store: SQLiteStore
    /// The same file with a short timeout, for transactions while it is locked.
    private let shortTimeoutStore: SQLiteStore
    private let other: DatabaseQueue
    private let isLocked = Mutex(false)

    init(_ store: SQLiteStore, shortTimeoutStore: SQLiteStore, path: String) throws {
        self.store = store
        self.shortTimeoutStore = shortTimeoutStore
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        self.other = try DatabaseQueue(path: path, configuration: configuration)
    }

    var identity: StoreIdentity { self.store.identity }

    func lock() { self.isLocked.withLock { $0 = true } }

    func unlock() { self.isLocked.withLock { $0 = false } }

    func withTransaction(_ body: (Database) async throws -> Void) async throws {
        guard self.isLocked.withLock({ $0 }) else { return try await self.store.withTransaction(body) }
        try await self.other.whileWriting { try await self.shortTimeoutStore.withTransaction(body) }
    }

    func complete(
        _ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration, in db: Database
    ) throws -> Bool {
        try self.store.complete(claim, with: outcome, keyTTL: keyTTL, in: db)
    }

    func claim(_ request: ClaimRequest) async throws -> ClaimResult<Claim> { try await self.store.claim(request) }

    func renew(_ claim: borrowing Claim, lease: Duration) async throws -> Bool {
        try await self.store.renew(claim, lease: lease)
    }

    func complete(_ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration) async throws -> Bool {
        try await self.store.complete(claim, with: outcome, keyTTL: keyTTL)
    }

    func release(_ claim: borrowing Claim) async throws -> Bool { try await self.store.release(claim) }
}

extension DatabaseQueue {
    /// Runs a function while this connection, which allows unsafe transactions, holds the lock of all that write.
    func whileWriting(_ body: () async throws -> Void) async throws {
        try await self.writeWithoutTransaction { db in try db.execute(sql: "BEGIN IMMEDIATE") }
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        try await self.writeWithoutTransaction { db in try db.execute(sql: "ROLLBACK") }
        try result.get()
    }
}
