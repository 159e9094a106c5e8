import Idemptx
import IdemptxPostgres
import IdemptxPostgresNIO
import IdemptxTesting
import PostgresServerTesting
import TestSupport
import Testing

@Suite("The PostgreSQL store keeps the laws of a store over PostgresNIO", .serialized, .timeLimit(.minutes(10)))
struct ConformanceTests {
    /// The laws are not about being in time, on a machine that runs many tests at once.
    private let slow = PostgresStoreConfiguration(callTimeout: .seconds(20))

    @Test("under the isolation that the client asks for", arguments: ["read committed", "serializable"])
    func laws(serverDefault: String) async throws {
        try await withServer(["default_transaction_isolation": serverDefault]) { server, _, _ in
            // A commit that loses against another, which `serializable` has, would be a lost reply.
            try await withClient(port: server.port, connections: 40, isolation: "read committed") { client in
                let executor = PostgresNIOExecutor(client: client)
                try await StoreConformance(pace: .realTime(unit: .milliseconds(400))) { _ in
                    PostgresStore(executor: executor, configuration: self.slow)
                }.runAll()
            }
        }
    }

    @Test("and an engine does, where commits lose against each other")
    func serializable() async throws {
        try await withServer(["default_transaction_isolation": "serializable"], connections: 40) { _, _, executor in
            let idempotency = Idempotency(
                store: PostgresStore(executor: executor, configuration: self.slow),
                policy: IdempotencyPolicy { $0.waitTimeout = .seconds(60) })
            let ledger = Ledger()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        _ = try await idempotency.run("charge", key: "k-\(number % 50)") { _ in ledger.add() }
                    }
                }
                try await group.waitForAll()
            }
            #expect(ledger.count == 50)
        }
    }
}
