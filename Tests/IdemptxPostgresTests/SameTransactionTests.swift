import HTTPTypes
import Idemptx
import IdemptxTesting
import PostgresServerTesting
import StoreTestSupport
import Synchronization
import TestSupport
import Testing

@testable import IdemptxPostgres

/// An operation whose writes and whose record are committed together.
@Suite("One transaction for the effect and its record, in PostgreSQL", .timeLimit(.minutes(10)))
struct SameTransactionTests {
    private struct Declined: Error {}

    /// The application's table, and a store beside it.
    private func withShop(_ body: (PostgresServer, PostgresStore) async throws -> Void) async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore(configuration: PostgresStoreConfiguration(callTimeout: .seconds(30)))
            _ = try await server.query("CREATE TABLE charge (key text NOT NULL, attempt int8 NOT NULL)")
            try await body(server, store)
        }
    }

    /// A policy for tests that are not about being in time, on a machine that runs many of them at once.
    private static func policy(_ change: (inout IdempotencyPolicy) -> Void = { _ in }) -> IdempotencyPolicy {
        IdempotencyPolicy {
            $0.claimTimeout = .seconds(60)
            change(&$0)
        }
    }

    private static func charge(
        _ key: String, attempt: Int = 1, in transaction: PostgresTransaction
    ) async throws -> String {
        try await transaction.execute(
            "INSERT INTO charge VALUES ($1, $2)", [.text(key), .integer(Int64(attempt))])
        return "receipt of \(key)"
    }

    /// Charges through the layer's own transaction.
    private func charge(
        _ idempotency: Idempotency, _ store: PostgresStore,
        then: @escaping @Sendable (PostgresTransaction) async throws -> Void = { _ in }
    ) async throws -> String {
        try await idempotency.run("charge", key: "k-1", in: store) { context, transaction in
            let receipt = try await Self.charge("k-1", attempt: context.attempt, in: transaction)
            try await then(transaction)
            return receipt
        }
    }

    /// Charges in a transaction of the application's own; the first is rolled back.
    private func chargeByItself(
        _ idempotency: Idempotency, _ store: PostgresStore, _ ledger: Ledger
    ) async throws -> String {
        try await idempotency.run("charge", key: "k-1") { context in
            var receipt = ""
            // Stands for a client of the application's own.
            try await store.executor.withTransaction { transaction in
                receipt = try await Self.charge("k-1", attempt: context.attempt, in: transaction)
                try await context.complete(with: receipt, in: transaction)
                if ledger.add() == 1 { throw Declined() }
            }
            return receipt
        }
    }

    private func attempts(_ server: PostgresServer, _ key: String = "k-1") async throws -> [Int64] {
        try await server.numbers("SELECT attempt FROM charge WHERE key = '\(key)' ORDER BY attempt")
    }

    private func problem(_ body: () async throws -> String) async throws -> IdempotencyProblem.Kind {
        try await #require(throws: IdempotencyProblem.self) { _ = try await body() }.kind
    }

    @Test("commits what was written and the result together, once, however many callers there are")
    func commits() async throws {
        try await self.withShop { (server, store) async throws in
            let policy = Self.policy {
                $0.waitTimeout = .seconds(60)
            }
            let idempotency = Idempotency(store: store, policy: policy)
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
            #expect(try await server.number("SELECT count(*) FROM charge") == 20)
            #expect(try await server.number("SELECT count(DISTINCT key) FROM charge") == 20)
            #expect(
                try await server.number("SELECT count(*) FROM idemptx.record_overview WHERE state = 'completed'") == 20)
        }
    }

    @Test("rolls back an operation that throws, or whose result is not kept")
    func rollsBack() async throws {
        try await self.withShop { (server, store) async throws in
            let idempotency = Idempotency(store: store, policy: Self.policy())
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
            #expect(try await server.number("SELECT count(*) FROM charge") == 0)
        }
    }

    @Test(
        "says so if the operation ends the transaction itself",
        arguments: [["COMMIT"], ["ROLLBACK"], ["COMMIT", "BEGIN"]])
    func endedBehindItsBack(_ statements: [String]) async throws {
        try await self.withShop { (server, store) async throws in
            let idempotency = Idempotency(store: store, policy: Self.policy { $0.replay = .retryServerErrors })
            let error = try await #require(throws: StoreError.self) {
                _ = try await self.charge(idempotency, store) { transaction in
                    // An application that does so may well overlook what it is told.
                    for statement in statements { _ = try? await transaction.execute(statement) }
                }
            }
            #expect(error.code == .transactionEnded)
            // It may be done, so that nothing runs it again.
            #expect(try await self.problem { try await self.charge(idempotency, store) } == .responseNotReplayable)
            #expect(try await self.attempts(server).count == (statements == ["ROLLBACK"] ? 0 : 1))
        }
    }

    @Test("says so, too, if the operation commits and then throws")
    func commitsAndThrows() async throws {
        try await self.withShop { (server, store) async throws in
            let idempotency = Idempotency(store: store, policy: Self.policy { $0.replay = .retryServerErrors })
            let error = try await #require(throws: StoreError.self) {
                _ = try await self.charge(idempotency, store) { transaction in
                    _ = try? await transaction.execute("COMMIT")
                    throw Declined()
                }
            }
            #expect(error.code == .transactionEnded)
            #expect(try await self.problem { try await self.charge(idempotency, store) } == .responseNotReplayable)
            #expect(try await self.attempts(server) == [1])
        }
    }

    @Test("commits under a strict isolation, though a request waits and the lease is renewed meanwhile")
    func strictIsolation() async throws {
        try await self.withShop { (server, store) async throws in
            _ = try await server.query("ALTER ROLE postgres SET default_transaction_isolation = 'serializable'")
            let strict = try await server.makeStore()
            let policy = Self.policy { $0.waitTimeout = .seconds(60) }
            let clock = ManualClock()
            let (first, second) = (
                Idempotency(store: strict, policy: policy, clock: clock), Idempotency(store: store, policy: policy)
            )
            let gate = Gate()
            let slow = Task { try await self.charge(first, strict) { _ in await gate.pass() } }
            try await eventually("The first attempt runs") { gate.arrivals == 1 }
            let end = try await server.number("SELECT lease_end FROM idemptx.record")
            let waiter = Task { try await self.charge(second, store) }
            try await eventually("A request waits") {
                try await server.number("SELECT count(*) FROM idemptx.record WHERE waited") == 1
            }
            try await eventually("The lease is renewed") {
                clock.advance(by: .seconds(10))
                return try await server.number("SELECT lease_end FROM idemptx.record") > end
            }
            gate.open()
            #expect(try await slow.value == "receipt of k-1")
            #expect(try await waiter.value == "receipt of k-1")
            #expect(try await self.attempts(server) == [1])
        }
    }

    @Test("treats a column that it cannot read as an error of the operation, and not of the store")
    func unreadableColumn() async throws {
        try await self.withShop { (_, store) async throws in
            let idempotency = Idempotency(store: store, policy: Self.policy())
            let error = try await #require(throws: StoreError.self) {
                _ = try await self.charge(idempotency, store) { transaction in
                    try await transaction.execute("SELECT now()")
                }
            }
            #expect(error.code == .misconfigured)
        }
    }

    @Test("takes a text that PostgreSQL has no place for as an error of the operation, and not as an outage")
    func impossibleText() async throws {
        try await self.withShop { (server, store) async throws in
            let error = try await #require(throws: StoreError.self) {
                _ = try await self.charge(Idempotency(store: store, policy: Self.policy()), store) { transaction in
                    try await transaction.execute("SELECT $1", [.text("a\0b")])
                }
            }
            #expect(error.code == .misconfigured)
            #expect(try await self.attempts(server).isEmpty)
        }
    }

    @Test("locks a record for no longer than a call takes, if its process stands still before it commits")
    func standsStill() async throws {
        try await PostgresServer.with { (server) async throws in
            let store = try await server.makeStore(configuration: PostgresStoreConfiguration(callTimeout: .seconds(5)))
            guard case .granted(let claim) = try await store.claim(ClaimRequest(key: try .named("k-1"))) else {
                Issue.record("The key is free")
                return
            }
            await #expect(throws: StoreError.self) {
                try await store.withTransaction { transaction in
                    #expect(
                        try await store.complete(claim, with: .charged, keyTTL: .seconds(60), in: transaction))
                    try await eventually("The server ends it") {
                        try await server.numbers(
                            "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'") == [0]
                    }
                }
            }
            #expect(try await store.renew(claim, lease: .seconds(30)))
        }
    }

    @Test("commits nothing for a key that an operator has settled meanwhile, and gives what he stored")
    func settledByOperator() async throws {
        try await self.withShop { (server, store) async throws in
            let idempotency = Idempotency(store: store, policy: Self.policy())
            let gate = Gate()
            let late = Task { try await self.charge(idempotency, store) { _ in await gate.pass() } }
            try await eventually("The attempt runs") { gate.arrivals == 1 }
            let key = StorageKey(scope: .operation("charge"), key: try IdempotencyKey("k-1"))
            let settled = StoredResponse(status: .ok, body: Array(#""settled by hand""#.utf8))
            _ = try await store.complete(
                key, with: .response(settled), keyTTL: .seconds(60), force: true, reason: "a test")
            gate.open()
            #expect(try await late.value == "settled by hand")
            #expect(try await self.attempts(server).isEmpty)
        }
    }

    @Test("leaves nothing of an attempt whose connection is lost, and a retry runs the next one")
    func connectionLost() async throws {
        try await self.withShop { (server, store) async throws in
            let idempotency = Idempotency(store: store, policy: Self.policy())
            let lost = try await self.problem {
                try await self.charge(idempotency, store) { _ in
                    _ = try await server.query(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'")
                }
            }
            #expect(lost == .storeUnavailable)
            for _ in 0..<2 { #expect(try await self.charge(idempotency, store) == "receipt of k-1") }
            #expect(try await self.attempts(server) == [2])
        }
    }

    @Test("finds out whether a commit without a reply has happened", arguments: [true, false])
    func commitReplyLost(isCommitted: Bool) async throws {
        try await self.withShop { (server, store) async throws in
            let executor = SilentCommit(store.executor, commits: isCommitted)
            let shaky = PostgresStore(
                executor: executor, configuration: store.configuration, identity: store.identity)
            let idempotency = Idempotency(store: shaky)
            if isCommitted {
                #expect(try await self.charge(idempotency, shaky) == "receipt of k-1")
            } else {
                #expect(try await self.problem { try await self.charge(idempotency, shaky) } == .storeUnavailable)
            }
            executor.behave()
            #expect(try await self.charge(idempotency, shaky) == "receipt of k-1")
            #expect(try await self.attempts(server) == (isCommitted ? [1] : [2]))
        }
    }

    @Test("says that the store is unavailable if nobody can tell whether a commit has happened; a retry finds out")
    func commitUnresolved() async throws {
        try await self.withShop { (server, store) async throws in
            let executor = SilentCommit(store.executor, commits: true, isAwayBehindIt: true)
            let shaky = PostgresStore(
                executor: executor, configuration: store.configuration, identity: store.identity)
            let idempotency = Idempotency(
                store: shaky, policy: IdempotencyPolicy { $0.completionRetryTime = .milliseconds(100) })
            #expect(try await self.problem { try await self.charge(idempotency, shaky) } == .storeUnavailable)
            executor.behave()
            #expect(try await self.charge(idempotency, shaky) == "receipt of k-1")
            #expect(try await self.attempts(server) == [1])
        }
    }

    @Test("lets an attempt that was replaced commit nothing, and gives what its successor stored")
    func replaced() async throws {
        try await self.withShop { (server, store) async throws in
            let idempotency = Idempotency(store: store, clock: ManualClock())
            let gate = Gate()
            let late = Task { try await self.charge(idempotency, store) { _ in await gate.pass() } }
            try await eventually("The first attempt runs") { gate.arrivals == 1 }
            // Its process stands still for longer than its lease, which nothing renews.
            _ = try await server.query("UPDATE idemptx.record SET lease_end = 0")
            #expect(try await self.charge(Idempotency(store: store, policy: Self.policy()), store) == "receipt of k-1")
            gate.open()
            #expect(try await late.value == "receipt of k-1")
            #expect(try await self.attempts(server) == [2])
        }
    }

    @Test("stores a result in a transaction that the operation opened, if that is committed")
    func ownTransaction() async throws {
        try await self.withShop { (server, store) async throws in
            let idempotency = Idempotency(store: store, policy: Self.policy { $0.replay = .retryServerErrors })
            let ledger = Ledger()
            await #expect(throws: Declined.self) { _ = try await self.chargeByItself(idempotency, store, ledger) }
            #expect(try await self.attempts(server).isEmpty)
            for _ in 0..<2 {
                #expect(try await self.chargeByItself(idempotency, store, ledger) == "receipt of k-1")
            }
            #expect(try await self.attempts(server).count == 1)
            #expect(ledger.count == 2)
        }
    }

    @Test("gives up an operation that loses against another transaction, so that a retry can run")
    func conflict() async throws {
        try await self.withShop { (server, store) async throws in
            let idempotency = Idempotency(store: store, policy: Self.policy())
            let lost = try await self.problem {
                try await self.charge(idempotency, store) { transaction in
                    try await transaction.execute(
                        "DO $$BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = 'serialization_failure'; END$$")
                }
            }
            #expect(lost == .storeUnavailable)
            #expect(try await self.charge(idempotency, store) == "receipt of k-1")
            #expect(try await self.attempts(server) == [2])
        }
    }
}

/// Commits or rolls back, and never hears of it, until it is told to behave.
private final class SilentCommit: PostgresExecutor {
    private struct NotCommitted: Error {}

    private let executor: any PostgresExecutor
    private let commits: Bool
    /// Whether nothing can be asked, either, once there was no reply.
    private let isAwayBehindIt: Bool
    private let isSilent = Mutex(true)
    private let isAway = Mutex(false)

    init(_ executor: any PostgresExecutor, commits: Bool, isAwayBehindIt: Bool = false) {
        self.executor = executor
        self.commits = commits
        self.isAwayBehindIt = isAwayBehindIt
    }

    func behave() {
        self.isSilent.withLock { $0 = false }
        self.isAway.withLock { $0 = false }
    }

    func execute(_ statement: PostgresStatement, timeout: Duration) async throws -> [[PostgresValue]] {
        if self.isAway.withLock({ $0 }) { throw StoreError(.unavailable, "The server is away.") }
        return try await self.executor.execute(statement, timeout: timeout)
    }

    func withTransaction(_ body: (PostgresTransaction) async throws -> Void) async throws {
        guard self.isSilent.withLock({ $0 }) else { return try await self.executor.withTransaction(body) }
        do {
            try await self.executor.withTransaction { transaction in
                try await body(transaction)
                if !self.commits { throw NotCommitted() }
            }
        } catch is NotCommitted {
            // As if the reply were lost.
        }
        if self.isAwayBehindIt { self.isAway.withLock { $0 = true } }
        throw StoreError(.replyLost, "No reply to the commit.")
    }
}
