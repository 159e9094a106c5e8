#if PostgresNIO
import Idemptx
import IdemptxPostgres
import PostgresNIO
import Synchronization

/// A transaction that is open on a connection, and of which nothing is there before it is committed.
final class OpenTransaction: Sendable {
    private struct State {
        /// The last statement that the server refused, for which it may have to be rolled back.
        var refusal: PostgresServerError?
        /// Whether a statement of the operation has committed it.
        var isCommittedEarly = false
    }

    private let connection: PostgresConnection
    private let state = Mutex(State())

    /// Begins a transaction.
    ///
    /// A stricter isolation would fail it whenever a request waits for its record, or its lease is renewed.
    init(on connection: PostgresConnection) async throws {
        self.connection = connection
        _ = try await self.execute(PostgresStatement("BEGIN ISOLATION LEVEL READ COMMITTED"))
    }

    /// Whether a statement of the operation has committed it.
    var isCommittedEarly: Bool { self.state.withLock(\.isCommittedEarly) }

    func execute(_ statement: PostgresStatement) async throws -> [[PostgresValue]] {
        do {
            let (rows, command) = try await self.connection.values(of: statement)
            if command == "COMMIT" {
                self.state.withLock { $0.isCommittedEarly = true }
                throw StoreError.transactionEnded
            }
            return rows
        } catch let failure as StatementFailure {
            if case .refused(let refusal) = failure { self.state.withLock { $0.refusal = refusal } }
            throw failure.error(ifLost: .unavailable)
        }
    }

    func commit() async throws {
        do {
            // The reply to a commit, unlike those to other statements, comes behind the commit itself.
            let result = try await self.connection.run("COMMIT")
            // The server rolls back instead after an error, and does not call it one.
            if result.metadata.command == "COMMIT" { return }
        } catch let failure as StatementFailure {
            throw failure.error(ifLost: .replyLost)
        }
        throw self.state.withLock(\.refusal) ?? StoreError.transactionEnded
    }

    /// Rolls back, at the latest by closing the connection.
    func rollBack() async {
        do {
            _ = try await self.connection.run("ROLLBACK")
        } catch {
            self.connection.abort()
        }
    }
}
#endif
