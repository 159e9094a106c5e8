import Idemptx
import IdemptxPostgres
import IdemptxPostgresNIO
import Logging
import PostgresNIO
import PostgresServerTesting
import TestSupport
import Testing

/// An operation whose writes and whose record are committed together.
@Suite("One transaction for the effect and its record, over PostgresNIO", .timeLimit(.minutes(3)))
struct SameTransactionTests {
    private struct Declined: Error {}

    /// The application's table, and a store beside it.
    private func withShop(
        _ body: (PostgresNIOExecutor, PostgresClient, PostgresStore) async throws -> Void
    ) async throws {
        try await withServer { _, client, executor in
            try await executor.query("CREATE TABLE charge (key text NOT NULL, attempt int8 NOT NULL)")
            let configuration = PostgresStoreConfiguration(callTimeout: .seconds(10))
            try await body(executor, client, PostgresStore(executor: executor, configuration: configuration))
        }
    }

    private static func charge(
        _ key: String, attempt: Int = 1, in transaction: PostgresTransaction
    ) async throws -> String {
        try await transaction.execute(
            "INSERT INTO charge VALUES ($1, $2)", [.text(key), .integer(Int64(attempt))])
        return "receipt of \(key)"
    }

    private func attempts(_ executor: PostgresNIOExecutor, _ key: String = "k-1") async throws -> [Int64] {
        try await executor.query("SELECT attempt FROM charge WHERE key = $1 ORDER BY attempt", [.text(key)]).map {
            guard case .integer(let attempt) = $0.first else { throw Declined() }
            return attempt
        }
    }

    private func problem(_ body: () async throws -> String) async throws -> IdempotencyProblem.Kind {
        try await #require(throws: IdempotencyProblem.self) { _ = try await body() }.kind
    }

    @Test("commits what was written and the result together, once, however many callers there are")
    func commits() async throws {
        try await self.withShop { executor, _, store in
            let idempotency = Idempotency(store: store, policy: IdempotencyPolicy { $0.waitTimeout = .seconds(60) })
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<100 {
                    let key = "k-\(number % 20)"
                    group.addTask {
                        let receipt = try await idempotency.run("charge", key: key, in: store) { _, transaction in
                            try await Self.charge(key, in: transaction)
                        }
                        #expect(receipt == "receipt of \(key)")
                    }
                }
                try await group.waitForAll()
            }
            #expect(
                try await executor.query("SELECT count(*), count(DISTINCT key) FROM charge")
                    == [[.integer(20), .integer(20)]])
            #expect(
                try await executor.query("SELECT count(*) FROM idemptx.record_overview WHERE state = 'completed'")
                    == [[.integer(20)]])
        }
    }

    @Test("rolls back an operation that throws, or whose result is not kept")
    func rollsBack() async throws {
        try await self.withShop { executor, _, store in
            let idempotency = Idempotency(store: store)
            await #expect(throws: Declined.self) {
                try await idempotency.run("charge", key: "k-1", in: store) { _, transaction in
                    _ = try await Self.charge("k-1", in: transaction)
                    throw Declined()
                }
            }
            _ = try await idempotency.run("charge", key: "k-2", in: store) { context, transaction in
                context.release()
                return try await Self.charge("k-2", in: transaction)
            }
            #expect(try await executor.query("SELECT count(*) FROM charge") == [[.integer(0)]])
        }
    }

    @Test(
        "says so if the operation ends the transaction itself",
        arguments: [["COMMIT"], ["ROLLBACK"], ["COMMIT", "BEGIN"]])
    func endedBehindItsBack(_ statements: [String]) async throws {
        try await self.withShop { executor, _, store in
            let idempotency = Idempotency(store: store, policy: IdempotencyPolicy { $0.replay = .retryServerErrors })
            func charge() async throws -> String {
                try await idempotency.run("charge", key: "k-1", in: store) { _, transaction in
                    let receipt = try await Self.charge("k-1", in: transaction)
                    for statement in statements { _ = try? await transaction.execute(statement) }
                    return receipt
                }
            }
            let error = try await #require(throws: StoreError.self) { _ = try await charge() }
            #expect(error.code == .transactionEnded)
            #expect(try await self.problem(charge) == .responseNotReplayable)
            #expect(try await self.attempts(executor).count == (statements == ["ROLLBACK"] ? 0 : 1))
        }
    }

    @Test("says so, too, if the operation commits and then throws")
    func commitsAndThrows() async throws {
        try await self.withShop { executor, _, store in
            let idempotency = Idempotency(store: store, policy: IdempotencyPolicy { $0.replay = .retryServerErrors })
            func charge() async throws -> String {
                try await idempotency.run("charge", key: "k-1", in: store) { _, transaction in
                    _ = try await Self.charge("k-1", in: transaction)
                    _ = try? await transaction.execute("COMMIT")
                    throw Declined()
                }
            }
            let error = try await #require(throws: StoreError.self) { _ = try await charge() }
            #expect(error.code == .transactionEnded)
            #expect(try await self.problem(charge) == .responseNotReplayable)
            #expect(try await self.attempts(executor) == [1])
        }
    }

    @Test("takes no rollback of the server for a commit")
    func swallowedError() async throws {
        try await self.withShop { executor, _, _ in
            await #expect(throws: PostgresServerError.self) {
                try await executor.withTransaction { transaction in
                    _ = try await Self.charge("k-1", in: transaction)
                    _ = try? await transaction.execute("SELECT 1/0")
                }
            }
            let attempts = try await self.attempts(executor)
            #expect(attempts.isEmpty)
        }
    }

    @Test("leaves nothing of an attempt whose connection is lost, and a retry runs the next one")
    func connectionLost() async throws {
        try await self.withShop { executor, _, store in
            let idempotency = Idempotency(store: store)
            func charge(isCut: Bool) async throws -> String {
                try await idempotency.run("charge", key: "k-1", in: store) { context, transaction in
                    let receipt = try await Self.charge("k-1", attempt: context.attempt, in: transaction)
                    if isCut {
                        try await executor.query(
                            """
                            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                            WHERE state = 'idle in transaction'
                            """)
                    }
                    return receipt
                }
            }
            let problem = try await self.problem { try await charge(isCut: true) }
            #expect(problem == .storeUnavailable)
            #expect(try await charge(isCut: false) == "receipt of k-1")
            #expect(try await charge(isCut: false) == "receipt of k-1")
            #expect(try await self.attempts(executor) == [2])
        }
    }

    @Test("stores a result in a transaction that the operation opened, if that is committed")
    func ownTransaction() async throws {
        try await self.withShop { executor, client, store in
            let idempotency = Idempotency(store: store, policy: IdempotencyPolicy { $0.replay = .retryServerErrors })
            let ledger = Ledger()
            let logger = Logger(label: "test")
            func charge() async throws -> String {
                try await idempotency.run("charge", key: "k-1") { context in
                    try await client.withTransaction(logger: logger) { connection in
                        try await connection.query(
                            "INSERT INTO charge VALUES ('k-1', \(context.attempt))", logger: logger)
                        let receipt = "receipt of k-1"
                        try await context.complete(with: receipt, in: PostgresTransaction(connection))
                        if ledger.add() == 1 { throw Declined() }
                        return receipt
                    }
                }
            }
            await #expect(throws: PostgresTransactionError.self) { _ = try await charge() }
            let attempts = try await self.attempts(executor)
            #expect(attempts.isEmpty)
            for _ in 0..<2 { #expect(try await charge() == "receipt of k-1") }
            #expect(try await self.attempts(executor).count == 1)
            #expect(ledger.count == 2)
        }
    }
}
