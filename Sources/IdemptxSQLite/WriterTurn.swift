import Dispatch
import GRDB
import Idemptx
import Synchronization

/// Holds the thread of the connection that writes, and runs on it what prefers this executor.
///
/// GRDB lends a database to functions that do not wait, on a thread of its own choice. An operation in a transaction may
/// wait, be it for a decoder of the framework: whatever comes next of it has to run on that thread, too.
final class WriterTurn: TaskExecutor {
    private enum Phase {
        case waiting(CheckedContinuation<Void, any Error>)
        case begun
        /// Nothing runs here any more: the caller has gone, or the transaction has ended.
        case over
    }

    private struct State {
        var phase = Phase.over
        var jobs: [UnownedJob] = []
    }

    private let state = Mutex(State())
    /// Signalled once for each job, and once for the end.
    private let signal = DispatchSemaphore(value: 0)
    // Safe: used on the thread of the database only, while that serves this turn.
    nonisolated(unsafe) private var held: Database?

    /// The database; to be asked for in tasks that prefer this executor, while the turn lasts.
    var database: Database {
        get throws(StoreError) {
            guard let held = unsafe self.held else { throw .tooLate }
            return held
        }
    }

    /// Waits for the turn to write; it has to be ended.
    ///
    /// - Throws: `StoreError` if it does not come in time: then there is none.
    func begin(with database: RecordDatabase, timeout: Duration) async throws {
        guard database.file?.isInPlace != false else { throw StoreError.fileIsGone }
        try await withCheckedThrowingContinuation { continuation in
            self.state.withLock { $0.phase = .waiting(continuation) }
            database.writer.asyncWriteWithoutTransaction { db in self.serve(db) }
            DispatchQueue.global().asyncAfter(deadline: .now() + timeout / .seconds(1)) { [weak self] in
                self?.leaveQueue()?.resume(throwing: StoreError.tooLate)
            }
        }
    }

    /// Gives the thread back to the database.
    func end() {
        self.state.withLock { $0.phase = .over }
        self.signal.signal()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let isOver = self.state.withLock { state in
            if case .over = state.phase { return true }
            state.jobs.append(job)
            return false
        }
        // What outlives the transaction, such as an actor that it has called, goes on elsewhere.
        if isOver { globalConcurrentExecutor.enqueue(job) } else { self.signal.signal() }
    }

    private func serve(_ db: Database) {
        unsafe self.held = db
        defer { unsafe self.held = nil }
        guard let continuation = self.leaveQueue(as: .begun) else { return }
        continuation.resume()
        while let job = self.nextJob() {
            unsafe job.runSynchronously(on: self.asUnownedTaskExecutor())
        }
    }

    /// Takes the caller who waits, if there still is one.
    private func leaveQueue(as phase: Phase = .over) -> CheckedContinuation<Void, any Error>? {
        self.state.withLock { state in
            guard case .waiting(let continuation) = state.phase else { return nil }
            state.phase = phase
            return continuation
        }
    }

    /// The next job; `nil` once the turn has ended.
    private func nextJob() -> UnownedJob? {
        self.signal.wait()
        return self.state.withLock { $0.jobs.isEmpty ? nil : $0.jobs.removeFirst() }
    }
}
