import Idemptx
import IdemptxPostgres
import PostgresServerTesting
import TestSupport
import Testing

@Suite("Operations whose transactions wait for each other, in PostgreSQL", .timeLimit(.minutes(10)))
struct DeadlockTests {
    /// Moves money between two accounts; the first attempt stops between the two.
    private static func transfer(
        _ key: String, from source: Int64, to target: Int64, by idempotency: Idempotency, in store: PostgresStore,
        stoppingAt gate: Gate
    ) async throws -> Int {
        try await idempotency.run("transfer", key: key, in: store) { context, transaction in
            try await transaction.execute(
                "UPDATE account SET balance = balance - 10 WHERE id = $1", [.integer(source)])
            if context.attempt == 1 { await gate.pass() }
            try await transaction.execute(
                "UPDATE account SET balance = balance + 10 WHERE id = $1", [.integer(target)])
            return context.attempt
        }
    }

    @Test("One is rolled back and refused, and its retry runs as the next attempt")
    func deadlock() async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore(configuration: PostgresStoreConfiguration(callTimeout: .seconds(30)))
            _ = try await server.query("CREATE TABLE account (id int8 PRIMARY KEY, balance int8 NOT NULL)")
            _ = try await server.query("INSERT INTO account VALUES (1, 100), (2, 100)")
            let idempotency = Idempotency(store: store, policy: IdempotencyPolicy { $0.claimTimeout = .seconds(60) })
            let (gate, refusals) = (Gate(), Ledger())
            let transfers = [(key: "k-1", from: Int64(1), to: Int64(2)), (key: "k-2", from: 2, to: 1)].map { transfer in
                Task {
                    while true {
                        do {
                            return try await Self.transfer(
                                transfer.key, from: transfer.from, to: transfer.to, by: idempotency, in: store,
                                stoppingAt: gate)
                        } catch let problem as IdempotencyProblem where problem.kind == .storeUnavailable {
                            refusals.add()
                        }
                    }
                }
            }
            try await eventually("Both hold an account") { gate.arrivals == 2 }
            gate.open()
            var attempts: [Int] = []
            for transfer in transfers { attempts.append(try await transfer.value) }
            #expect(attempts.sorted() == [1, 2])
            #expect(refusals.count == 1)
            #expect(try await server.numbers("SELECT balance FROM account") == [100, 100])
            #expect(server.log.contains("deadlock detected"))
        }
    }
}
