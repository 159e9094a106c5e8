import Idemptx
import LibPQ

/// The client that the store brings.
struct LibPQExecutor: PostgresExecutor {
    let client: PostgresClient
    /// Whether a connection may be kept for notifications.
    let listens: Bool

    func execute(_ statement: PostgresStatement, timeout: Duration) async throws -> [[PostgresValue]] {
        try await Self.values { () async throws(PostgresError) in
            try await self.client.query(
                statement.sql, statement.parameters.map { PostgresParameter($0) }, timeout: timeout,
                goesFirst: statement.priority == .settle)
        }
    }

    func withTransaction(_ body: (PostgresTransaction) async throws -> Void) async throws {
        do {
            try await self.client.withTransaction(isolation: .readCommitted) { transaction in
                try await body(
                    PostgresTransaction { statement in
                        do {
                            return try await Self.values { () async throws(PostgresError) in
                                try await transaction.query(
                                    statement.sql, statement.parameters.map { PostgresParameter($0) })
                            }
                        } catch let error as StoreError where error.isUnexpectedResult {
                            // A statement of the application, which is not committed: the same again would come to the same.
                            throw StoreError(.misconfigured, error.message, underlyingError: error.underlyingError)
                        }
                    })
            }
        } catch let error as PostgresError {
            throw Self.thrown(error)
        }
    }

    /// The values of the rows of a result.
    private static func values(
        of query: () async throws(PostgresError) -> PostgresResult
    ) async throws -> [[PostgresValue]] {
        do throws(PostgresError) {
            let result = try await query()
            return try result.rows.map { (row) throws(PostgresError) in try row.values(of: result.columns) }
        } catch {
            throw Self.thrown(error)
        }
    }

    private static func thrown(_ error: PostgresError) -> any Error {
        if case .server(let refusal) = error {
            return PostgresServerError(sqlState: refusal.sqlState, message: refusal.message)
        }
        return StoreError(error)
    }

    func listen(to channel: String) -> AsyncStream<PostgresNotification> {
        guard self.listens else { return AsyncStream { $0.finish() } }
        let events = self.client.listen(channel)
        return AsyncStream { continuation in
            // Ends with the stream that it fills.
            let task = Task.detached {
                for await event in events { continuation.yield(PostgresNotification(event)) }
                continuation.finish()
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }
}

extension PostgresNotification {
    fileprivate init(_ event: PostgresEvent) {
        self =
            switch event {
            case .listening: .listening
            case .interrupted: .interrupted
            case .notification(let payload): .message(payload)
            }
    }
}

extension PostgresParameter {
    init(_ value: PostgresValue) {
        self =
            switch value {
            case .null: .null
            case .integer(let number): .integer(number)
            case .boolean(let isTrue): .boolean(isTrue)
            case .text(let text): .text(text)
            case .bytes(let bytes): .bytes(bytes)
            }
    }
}

extension PostgresRow {
    /// Numbers of types in `pg_type`, which never change.
    private enum TypeNumber {
        static let boolean: UInt32 = 16
        static let bytes: UInt32 = 17
        static let integers: Set<UInt32> = [20, 21, 23]
    }

    fileprivate func values(of columns: [PostgresResult.Column]) throws(PostgresError) -> [PostgresValue] {
        try columns.indices.map { (index) throws(PostgresError) -> PostgresValue in
            switch columns[index].type {
            case TypeNumber.boolean: try self.boolean(index).map { .boolean($0) } ?? .null
            case TypeNumber.bytes: try self.bytes(index).map { .bytes($0) } ?? .null
            case let type where TypeNumber.integers.contains(type):
                try self.integer(index).map { .integer($0) } ?? .null
            default: try self.text(index).map { .text($0) } ?? .null
            }
        }
    }
}

extension StoreError {
    fileprivate init(_ error: PostgresError) {
        let code: Code =
            switch error {
            // What cannot be sent now can never be.
            case .misconfigured, .libraryMissing, .settingsRefused, .invalidStatement: .misconfigured
            case .transactionEnded: .transactionEnded
            case _ where error.mayHaveHappened: .replyLost
            default: .unavailable
            }
        self.init(code, "\(error)", underlyingError: error)
    }

    /// Whether a row is not of the form that was expected.
    fileprivate var isUnexpectedResult: Bool {
        if case .unexpectedResult? = self.underlyingError as? PostgresError { true } else { false }
    }
}
