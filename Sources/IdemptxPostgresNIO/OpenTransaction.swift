#if PostgresNIO
import Idemptx
import IdemptxPostgres
import PostgresNIO
import Synchronization

/// A transaction that is open on a connection, and of which nothing is there before it is committed.
final class OpenTransaction: Sendable {
    private let connection: PostgresConnection
    /// The last statement that the server refused, for which it may have to be rolled back.
    private let refusal = Mutex<PostgresServerError?>(nil)

    /// Begins a transaction.
    init(on connection: PostgresConnection) async throws {
        self.connection = connection
        _ = try await self.execute(PostgresStatement("BEGIN"))
    }

    func execute(_ statement: PostgresStatement) async throws -> [[PostgresValue]] {
        do {
            return try await self.connection.values(of: statement)
        } catch let failure as StatementFailure {
            if case .refused(let refusal) = failure { self.refusal.withLock { $0 = refusal } }
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
        throw self.refusal.withLock(\.self)
            ?? StoreError(.transactionEnded, "The operation ended its transaction itself.")
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
