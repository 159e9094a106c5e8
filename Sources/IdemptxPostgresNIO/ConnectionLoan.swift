#if PostgresNIO
import PostgresNIO
import Synchronization

/// A connection that a task has for a while, and that is closed if the task is cancelled meanwhile.
final class ConnectionLoan: Sendable {
    private struct State {
        var connection: PostgresConnection?
        var hasBegun = false
        var isCancelled = false
    }

    private let state = Mutex(State())

    /// Whether there ever was a connection.
    var hasBegun: Bool { self.state.withLock(\.hasBegun) }

    /// Takes a connection.
    ///
    /// - Throws: `CancellationError` if the task was cancelled before.
    func begin(_ connection: PostgresConnection) throws {
        try self.state.withLock { state in
            if state.isCancelled { throw CancellationError() }
            state.connection = connection
            state.hasBegun = true
        }
    }

    /// Gives it back.
    func end() {
        self.state.withLock { $0.connection = nil }
    }

    /// Closes it, if it is still lent.
    func cancel() {
        let connection = self.state.withLock { state in
            state.isCancelled = true
            return state.connection
        }
        connection?.abort()
    }
}
#endif
