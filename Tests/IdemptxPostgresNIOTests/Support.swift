import Idemptx
import IdemptxPostgres
import IdemptxPostgresNIO
import PostgresNIO
import PostgresServerTesting

/// A client of the database `postgres` that runs while `body` runs.
func withClient(
    port: Int, connections: Int = 8, isolation: String? = nil, _ body: (PostgresClient) async throws -> Void
) async throws {
    var configuration = PostgresClient.Configuration(
        host: "127.0.0.1", port: port, username: "postgres", password: nil, database: "postgres", tls: .disable)
    configuration.options.maximumConnections = connections
    if let isolation {
        configuration.options.additionalStartupParameters = [("default_transaction_isolation", isolation)]
    }
    let client = PostgresClient(configuration: configuration)
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await client.run() }
        defer { group.cancelAll() }
        try await body(client)
    }
}

/// A server of its own, a client, and a schema.
func withServer(
    _ settings: [String: String] = [:], connections: Int = 8,
    _ body: (PostgresServer, PostgresClient, PostgresNIOExecutor) async throws -> Void
) async throws {
    var options = PostgresServerOptions()
    options.settings = settings
    try await PostgresServer.with(options) { server in
        try await withClient(port: server.port, connections: connections) { client in
            let executor = PostgresNIOExecutor(client: client)
            try await PostgresStore(executor: executor).migrate()
            try await body(server, client, executor)
        }
    }
}

extension PostgresExecutor {
    /// Runs a statement in a transaction of its own.
    @discardableResult
    func query(_ sql: String, _ parameters: [PostgresValue] = []) async throws -> [[PostgresValue]] {
        try await self.execute(PostgresStatement(sql, parameters), timeout: .seconds(30))
    }
}
