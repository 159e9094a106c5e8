import Idemptx
import IdemptxPostgres
import IdemptxPostgresNIO
import IdemptxTesting
import PostgresServerTesting
import Testing

@Suite("The PostgreSQL store keeps the laws of a store over PostgresNIO", .timeLimit(.minutes(5)))
struct ConformanceTests {
    /// The laws are not about being in time, on a machine that runs many tests at once.
    private let slow = PostgresStoreConfiguration(callTimeout: .seconds(20))

    @Test("whatever the isolation of transactions is", arguments: ["read committed", "serializable"])
    func laws(isolation: String) async throws {
        try await withServer(["default_transaction_isolation": isolation], connections: 40) { _, _, executor in
            try await StoreConformance(pace: .realTime(unit: .milliseconds(400))) { _ in
                PostgresStore(executor: executor, configuration: self.slow)
            }.runAll()
        }
    }
}
