import GRDB
import Idemptx
import Synchronization

/// One transaction that an operation joins.
struct JoinedTransaction {
    /// How the transaction ended before it was this type's turn to end it.
    private final class EarlyEnd: Sendable {
        let isCommitted = Mutex<Bool?>(nil)
    }

    private let db: Database
    private let deadline: ContinuousClock.Instant

    /// Creates a transaction that has not begun.
    ///
    /// - Parameters:
    ///   - db: The database, on its own thread.
    ///   - deadline: Until when to wait while another process writes.
    init(_ db: Database, deadline: ContinuousClock.Instant) {
        self.db = db
        self.deadline = deadline
    }

    /// Runs `body` in the transaction, and commits what it wrote.
    ///
    /// - Throws: What `body` throws, after everything was rolled back, or `StoreError`.
    func run(_ body: (Database) async throws -> Void) async throws {
        try self.begin()
        defer { if self.db.isInsideTransaction { try? self.db.rollback() } }
        let end = EarlyEnd()
        self.db.afterNextTransaction { _ in
            end.isCommitted.withLock { $0 = true }
        } onRollback: { _ in
            end.isCommitted.withLock { $0 = false }
        }
        do {
            try await body(self.db)
        } catch {
            // What it wrote is there, whatever it says.
            if end.isCommitted.withLock({ $0 }) == true { throw StoreError.transactionEnded }
            if let error = error as? DatabaseError, error.isOutage { throw StoreError(sqlite: error) }
            throw error
        }
        guard end.isCommitted.withLock({ $0 }) == nil else { throw StoreError.transactionEnded }
        do {
            try self.db.commit()
        } catch {
            throw StoreError(sqlite: error)
        }
    }

    private func begin() throws(StoreError) {
        while true {
            do {
                return try self.db.beginTransaction(.immediate)
            } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY && .now < self.deadline {
                Database.pauseForOtherWriter()
            } catch {
                throw StoreError(sqlite: error)
            }
        }
    }
}

extension DatabaseError {
    /// Whether the database as a whole cannot be used, whatever the statement was.
    fileprivate var isOutage: Bool {
        [.SQLITE_BUSY, .SQLITE_FULL, .SQLITE_IOERR, .SQLITE_NOMEM].contains(self.resultCode)
    }
}
