import Idemptx
import IdemptxPostgres
import LibPQ
import PostgresServerTesting
import Synchronization
import Testing

/// The store's, not the client's.
typealias PostgresServerError = IdemptxPostgres.PostgresServerError

extension PostgresServer {
    /// A store in the database `postgres`, whose schema is installed.
    func makeStore(
        connection: PostgresConnectionConfiguration = PostgresConnectionConfiguration(connections: 4),
        // What is not about time has all it needs, on whatever machine.
        configuration: PostgresStoreConfiguration = PostgresStoreConfiguration(callTimeout: .seconds(60))
    ) async throws -> PostgresStore {
        let store = try PostgresStore(url: self.conninfo(), connection: connection, configuration: configuration)
        try await store.migrate()
        return store
    }

    /// The first column of the first row, a number.
    func number(_ sql: String) async throws -> Int64 {
        try #require(try await self.query(sql).first?.integer(0))
    }

    /// The first column of each row, numbers.
    func numbers(_ sql: String) async throws -> [Int64] {
        try await self.query(sql).rows.map { row in try #require(try row.integer(0)) }
    }

    /// The number that the next transaction gets which writes or locks.
    func nextTransaction() async throws -> String? {
        try await self.query("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").first?.text(0)
    }
}

/// Runs statements by another executor, each after a delay, and remembers them.
final class SpyExecutor: PostgresExecutor {
    private let executor: any PostgresExecutor
    private let seen = Mutex<[(statement: PostgresStatement, timeout: Duration)]>([])
    /// How long it waits before it runs a statement.
    private let delay: Duration
    private let failures: Mutex<[IdemptxPostgres.PostgresServerError]>
    private let canListen: Bool

    init(
        _ executor: any PostgresExecutor, canListen: Bool = true, delay: Duration = .zero,
        failures: [IdemptxPostgres.PostgresServerError] = []
    ) {
        self.executor = executor
        self.delay = delay
        self.canListen = canListen
        self.failures = Mutex(failures)
    }

    var statements: [PostgresStatement] { self.seen.withLock { $0 }.map(\.statement) }

    /// How much time it was given for each.
    var timeouts: [Duration] { self.seen.withLock { $0 }.map(\.timeout) }

    func execute(_ statement: PostgresStatement, timeout: Duration) async throws -> [[PostgresValue]] {
        self.seen.withLock { $0.append((statement, timeout)) }
        if self.delay > .zero { try await Task.sleep(for: self.delay) }
        if let failure = self.failures.withLock({ $0.popLast() }) { throw failure }
        return try await self.executor.execute(statement, timeout: timeout)
    }

    func listen(to channel: String) -> AsyncStream<PostgresNotification> {
        self.canListen ? self.executor.listen(to: channel) : AsyncStream { $0.finish() }
    }
}

/// A lock on the row of a key, held by a transaction of somebody else.
func withLock<Value>(
    on key: StorageKey, in server: PostgresServer, _ body: () async throws -> Value
) async throws -> Value {
    let client = try PostgresClient(PostgresConfiguration(server.conninfo()))
    let value = try await client.withTransaction(timeout: .seconds(60)) { transaction in
        try await transaction.query("SELECT FROM idemptx.record WHERE key = $1 FOR UPDATE", [.bytes(key.bytes)])
        return try await body()
    }
    await client.close()
    return value
}
