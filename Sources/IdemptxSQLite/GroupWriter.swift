import GRDB
import Idemptx
import Synchronization

/// Writes what arrives at the same time in one transaction: group commit.
///
/// While one transaction is being committed, the next calls gather, and share the next one. Each of them learns its
/// result only after the commit. Nothing that a caller does, such as being cancelled, interrupts a transaction.
final class GroupWriter: Sendable {
    private struct Queue {
        var calls: [any PendingCall] = []
        var isWriting = false
    }

    /// Bounds how long one transaction, and whoever waits for it, takes.
    private let maximumGroupSize = 256
    private let pool: DatabasePool
    private let queue = Mutex(Queue())

    init(_ pool: DatabasePool) {
        self.pool = pool
    }

    /// How many calls wait for the next transaction.
    var pendingCount: Int { self.queue.withLock { $0.calls.count } }

    /// Runs `work` inside a transaction that others may share.
    ///
    /// - Parameter work: Writes with at most one statement, so that it cannot fail half-way and leave a part to the
    ///   transaction of the others.
    /// - Returns: What `work` returned, once that is committed.
    /// - Throws: `StoreError`; nothing is committed then, unless its code is `outcomeUnknown`.
    func perform<Value: Sendable>(
        _ work: @escaping @Sendable (Database) throws -> Value
    ) async throws(StoreError) -> Value {
        let result = await withCheckedContinuation { continuation in
            self.enqueue(Call(work: work, continuation: continuation))
        }
        return try result.get()
    }

    private func enqueue(_ call: any PendingCall) {
        let startsWriting = self.queue.withLock { queue in
            queue.calls.append(call)
            defer { queue.isWriting = true }
            return !queue.isWriting
        }
        if startsWriting {
            self.pool.asyncWriteWithoutTransaction { db in self.writeGroups(db) }
        }
    }

    private func writeGroups(_ db: Database) {
        while let group = self.nextGroup() {
            let failure = self.write(group, db)
            for call in group { call.finish(failure) }
        }
    }

    private func nextGroup() -> [any PendingCall]? {
        self.queue.withLock { queue in
            let group = Array(queue.calls.prefix(self.maximumGroupSize))
            queue.calls.removeFirst(group.count)
            queue.isWriting = !group.isEmpty
            return group.isEmpty ? nil : group
        }
    }

    /// - Returns: Why nothing was committed; `nil` if it was.
    private func write(_ group: [any PendingCall], _ db: Database) -> StoreError? {
        do {
            // One that could not be rolled back when it failed.
            if db.isInsideTransaction { try db.rollback() }
            try db.beginTransaction(.immediate)
        } catch {
            return StoreError(sqlite: error)
        }
        for call in group {
            call.run(in: db)
            // On some errors, such as a full disk, SQLite rolls back by itself. The next call would stand alone.
            guard db.isInsideTransaction else {
                return StoreError(.unavailable, "SQLite rolled the transaction back.")
            }
        }
        do {
            try db.commit()
            return nil
        } catch {
            try? db.rollback()
            return StoreError(
                .outcomeUnknown, "SQLite could not commit: \(StoreError.describe(error)).", underlyingError: error)
        }
    }
}

/// A call that waits for its transaction.
private protocol PendingCall: Sendable {
    /// Does the work, inside the transaction.
    func run(in db: Database)
    /// Tells the caller, once the transaction has ended.
    func finish(_ failure: StoreError?)
}

private final class Call<Value: Sendable>: PendingCall {
    private let work: @Sendable (Database) throws -> Value
    private let continuation: CheckedContinuation<Result<Value, StoreError>, Never>
    private let result = Mutex<Result<Value, StoreError>?>(nil)

    init(
        work: @escaping @Sendable (Database) throws -> Value,
        continuation: CheckedContinuation<Result<Value, StoreError>, Never>
    ) {
        self.work = work
        self.continuation = continuation
    }

    func run(in db: Database) {
        let result = Result { try self.work(db) }.mapError(StoreError.init(sqlite:))
        self.result.withLock { $0 = result }
    }

    func finish(_ failure: StoreError?) {
        let notRun = Result<Value, StoreError>.failure(failure ?? StoreError(.unavailable, "The call was not run."))
        let result = self.result.withLock { $0 }
        self.continuation.resume(returning: failure == nil ? result ?? notRun : notRun)
    }
}
