import Foundation
import GRDB
import Idemptx

/// One transaction that an operation joins.
///
/// A savepoint at its beginning tells in the end whether it is still the same transaction.
struct JoinedTransaction {
    private let db: Database
    private let deadline: ContinuousClock.Instant

    /// - Parameters:
    ///   - db: The database, in its own thread.
    ///   - timeout: How long to wait at most while another process writes.
    init(_ db: Database, timeout: Duration) {
        self.db = db
        self.deadline = .now + timeout
    }

    func run(_ body: (Database) async throws -> Void) async throws {
        try self.begin()
        defer { if self.db.isInsideTransaction { try? self.db.rollback() } }
        try await body(self.db)
        try self.checkIsSame()
        do {
            try self.db.commit()
        } catch {
            throw StoreError(sqlite: error)
        }
    }

    private func begin() throws(StoreError) {
        do {
            while true {
                do {
                    try self.db.beginTransaction(.immediate)
                    break
                } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY && .now < self.deadline {
                    // SQLite does not notify when a lock is free. This thread belongs to the database, and may sleep.
                    Thread.sleep(forTimeInterval: 0.002)
                }
            }
            try self.db.execute(sql: "SAVEPOINT idemptx")
        } catch {
            throw StoreError(sqlite: error)
        }
    }

    private func checkIsSame() throws(StoreError) {
        do {
            guard self.db.isInsideTransaction else { throw StoreError.transactionEnded }
            try self.db.execute(sql: "RELEASE idemptx")
        } catch {
            throw .transactionEnded
        }
    }
}
