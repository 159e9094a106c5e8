import Idemptx
import IdemptxPostgres
import IdemptxTesting
import PostgresServerTesting
import ServiceLifecycle
import StoreTestSupport
import Testing

@Suite("The PostgreSQL store keeps the laws of a store", .timeLimit(.minutes(10)))
struct ConformanceTests {
    private let pace = StoreConformance.Pace.realTime(unit: .milliseconds(400))

    /// The laws are not about being in time, on a machine that runs many tests at once.
    private let slow = PostgresStoreConfiguration(callTimeout: .seconds(20))
    private let connection = PostgresConnectionConfiguration(connections: 2)

    private func with(_ settings: [String: String] = [:], _ body: (PostgresServer) async throws -> Void) async throws {
        var options = PostgresServerOptions()
        options.settings = settings.merging(["max_connections": "500"]) { $1 }
        try await PostgresServer.with(options) { server in
            _ = try await server.makeStore()
            try await body(server)
        }
    }

    @Test("on one server, whatever the isolation of transactions is", arguments: ["read committed", "serializable"])
    func laws(isolation: String) async throws {
        try await self.with(["default_transaction_isolation": isolation]) { server in
            try await StoreConformance(pace: self.pace) { _ in
                try PostgresStore(url: server.conninfo(), connection: self.connection, configuration: self.slow)
            }.runAll()
        }
    }

    @Test("with two clients that take turns")
    func twoClients() async throws {
        try await self.with { server in
            try await StoreConformance(pace: self.pace) { _ in
                let stores = try (0..<2).map { _ in
                    try PostgresStore(url: server.conninfo(), connection: self.connection, configuration: self.slow)
                }
                return AlternatingStore(stores[0], stores[1])
            }.runAll(seeds: 0..<10)
        }
    }

    @Test("and can be run and inspected")
    func capabilities() async throws {
        // The laws leave out what a store does not conform to.
        try await PostgresServer.withDatabase { database in
            let store = try PostgresStore(url: database.url)
            try await store.migrate()
            let capable: any IdempotencyStore & Service & RecordCounting = store
            #expect(try await capable.statistics().total == 0)
            #expect(store as (any IdempotencyStore) is any ExpirySweeping)
        }
    }
}
