#if PostgresNIO
import Idemptx
public import IdemptxPostgres
public import PostgresNIO

/// Lets a `PostgresStore` use the connections of a `PostgresClient`.
///
/// ```swift
/// let client = PostgresClient(configuration: configuration)
/// let store = PostgresStore(executor: PostgresNIOExecutor(client: client))
/// let group = ServiceGroup(services: [client, store], gracefulShutdownSignals: [.sigterm], logger: logger)
/// ```
public struct PostgresNIOExecutor: PostgresExecutor {
    /// How long to wait before a lost connection for notifications is made again.
    private static let listeningPause = Duration.seconds(1)

    private let client: PostgresClient
    private let listens: Bool

    /// Creates an executor.
    ///
    /// - Parameters:
    ///   - client: The client, which has to run (`PostgresClient.run()`).
    ///   - listens: Whether one of its connections may be kept for notifications, which wake waiting requests at once. Turn
    ///     it off behind a pooler in transaction mode.
    public init(client: PostgresClient, listens: Bool = true) {
        self.client = client
        self.listens = listens
    }

    /// Runs one statement, in a transaction of its own.
    ///
    /// It takes two round trips: PostgresNIO returns the rows before the server has committed, and the second, empty
    /// statement is not sent before it has. When the time is over, the connection is closed.
    public func execute(_ statement: PostgresStatement, timeout: Duration) async throws -> [[PostgresValue]] {
        try await Self.within(timeout) {
            try await self.withConnection { connection in
                do {
                    let rows = try await connection.values(of: statement).rows
                    try await connection.waitUntilReady()
                    return rows
                } catch let failure as StatementFailure {
                    throw failure.error(ifLost: .replyLost)
                }
            }
        }
    }

    /// Runs a function in a transaction, on a connection of its own.
    ///
    /// Its statements have no deadline but those of the server, such as `statement_timeout`.
    public func withTransaction(_ body: (PostgresTransaction) async throws -> Void) async throws {
        try await self.withConnection { connection in
            let transaction = try await OpenTransaction(on: connection)
            do {
                try await body(PostgresTransaction { try await transaction.execute($0) })
            } catch {
                await transaction.rollBack()
                // What was written is there, whatever `body` says.
                throw transaction.isCommittedEarly ? StoreError.transactionEnded : error
            }
            try await transaction.commit()
        }
    }

    /// Listens to a channel, on a connection that is kept for it.
    public func listen(to channel: String) -> AsyncStream<IdemptxPostgres.PostgresNotification> {
        guard self.listens else { return AsyncStream { $0.finish() } }
        return AsyncStream { continuation in
            // Ends with the stream that it fills.
            let task = Task.detached {
                while !Task.isCancelled {
                    try? await self.client.withConnection { connection in
                        try await connection.listen(on: channel) { notifications in
                            continuation.yield(.listening)
                            for try await notification in notifications {
                                continuation.yield(.message(notification.payload))
                            }
                        }
                    }
                    continuation.yield(.interrupted)
                    try? await Task.sleep(for: Self.listeningPause)
                }
                continuation.finish()
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }
}

extension PostgresNIOExecutor {
    /// Runs a function on a connection, which is closed if the task is cancelled: a reply of the server cannot be waited
    /// for in any other way.
    private func withConnection<Value: Sendable>(
        _ body: (PostgresConnection) async throws -> Value
    ) async throws -> Value {
        let loan = ConnectionLoan()
        return try await withTaskCancellationHandler {
            do {
                return try await self.client.withConnection { connection in
                    try loan.begin(connection)
                    defer { loan.end() }
                    return try await body(connection)
                }
            } catch  where !loan.hasBegun {
                throw StoreError(.unavailable, "There is no connection to PostgreSQL.", underlyingError: error)
            }
        } onCancel: {
            loan.cancel()
        }
    }

    /// Cancels a function when its time is over, and waits for it in any case: it knows what has become of the statement.
    private static func within<Value: Sendable>(
        _ timeout: Duration, _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try? await Task.sleep(for: timeout)
                return nil
            }
            defer { group.cancelAll() }
            while let value = try await group.next() {
                if let value { return value }
                group.cancelAll()
            }
            throw StoreError(.replyLost, "No reply of PostgreSQL.")
        }
    }
}
#endif
