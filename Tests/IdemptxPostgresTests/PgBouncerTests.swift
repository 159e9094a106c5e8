import Idemptx
import IdemptxPostgres
import IdemptxTesting
import PostgresServerTesting
import TestSupport
import Testing

@Suite("PostgreSQL behind PgBouncer in transaction mode", .timeLimit(.minutes(10)))
struct PgBouncerTests {
    /// More connections than PgBouncer has sessions, so that each call may get the session of another.
    private let connection = PostgresConnectionConfiguration(connections: 4, listens: false)

    private func with(
        _ body: (PostgresServer, @escaping @Sendable () throws -> PostgresStore) async throws -> Void
    ) async throws {
        try await PostgresServer.with { server in
            try await PgBouncer.with(server) { bouncer in
                let makeStore = { @Sendable [connection, conninfo = bouncer.conninfo] in
                    try PostgresStore(
                        url: conninfo, connection: connection,
                        configuration: PostgresStoreConfiguration(callTimeout: .seconds(20)))
                }
                let store = try makeStore()
                try await store.migrate()
                try await store.verify()
                try await body(server, makeStore)
            }
        }
    }

    private static let policy = IdempotencyPolicy {
        $0.claimTimeout = .seconds(60)
        $0.waitTimeout = .seconds(60)
    }

    @Test("The store keeps the laws of a store")
    func laws() async throws {
        try await self.with { _, makeStore in
            try await StoreConformance(pace: .realTime(unit: .milliseconds(400))) { _ in try makeStore() }
                .runAll(seeds: 0..<10)
        }
    }

    @Test("Requests of two processes' engines run each operation once; those that wait ask until it has ended")
    func twoEngines() async throws {
        try await self.with { server, makeStore in
            let engines = try (0..<2).map { _ in Idempotency(store: try makeStore(), policy: Self.policy) }
            let ledger = Ledger()
            let results = try await withThrowingTaskGroup(of: (Int, Int).self) { group in
                for number in 0..<100 {
                    for engine in engines {
                        group.addTask {
                            let result = try await engine.run("charge", key: "k-\(number)") { _ in
                                try await Task.sleep(for: .milliseconds(20))
                                return ledger.add()
                            }
                            return (number, result)
                        }
                    }
                }
                return try await group.reduce(into: [Int: [Int]]()) { $0[$1.0, default: []].append($1.1) }
            }
            #expect(ledger.count == 100)
            #expect(results.count == 100)
            #expect(results.values.allSatisfy { $0.count == 2 && $0[0] == $0[1] })
            #expect(try await server.number("SELECT count(*) FROM idemptx.record WHERE state = 2") == 100)
        }
    }

    @Test("An operation and its record are committed together")
    func sameTransaction() async throws {
        try await self.with { server, makeStore in
            _ = try await server.query("CREATE TABLE charge (key text NOT NULL)")
            let store = try makeStore()
            let idempotency = Idempotency(store: store, policy: Self.policy)
            for _ in 1...2 {
                let receipt = try await idempotency.run("charge", key: "k-1", in: store) { context, transaction in
                    try await transaction.execute("INSERT INTO charge VALUES ($1)", [.text("k-1")])
                    return "receipt"
                }
                #expect(receipt == "receipt")
            }
            #expect(try await server.number("SELECT count(*) FROM charge") == 1)
        }
    }
}
