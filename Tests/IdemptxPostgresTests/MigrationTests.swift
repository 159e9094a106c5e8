import Idemptx
import IdemptxPostgres
import InMemoryLogging
import LibPQ
import Logging
import PostgresServerTesting
import StoreTestSupport
import TestSupport
import Testing

@Suite("The schema in PostgreSQL", .timeLimit(.minutes(10)))
struct MigrationTests {
    private func misconfiguration(_ call: () async throws -> Void) async -> String? {
        let error = await #expect(throws: StoreError.self) { try await call() }
        #expect(error?.code == .misconfigured)
        return error?.message
    }

    @Test("is installed once, however often and by however many at once")
    func installed() async throws {
        try await PostgresServer.withDatabase { database in
            let stores = try (0..<8).map { _ in try PostgresStore(url: database.url) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for store in stores { group.addTask { try await store.migrate() } }
                try await group.waitForAll()
            }
            #expect(await stores[0].claimed(ClaimRequest(key: try .named("k-1"))) == "attempt 1")
            for store in stores { try await store.migrate() }
            #expect(await stores[1].claimed(ClaimRequest(key: try .named("k-1"))) == "in progress")
            let client = try PostgresClient(PostgresConfiguration(database.conninfo()))
            // Printed, it is the same, and can be run as often.
            try await client.query(PostgresStore.migrationSQL())
            let versions = try await client.query("SELECT count(*), max(version) FROM idemptx.migration").first
            #expect(try versions?.integer(0) == 1 && versions?.integer(1) == 1)
            await client.close()
        }
    }

    @Test("is asked for in one sentence, as long as it is missing")
    func missing() async throws {
        try await PostgresServer.withDatabase { database in
            let store = try PostgresStore(url: database.url)
            let request = ClaimRequest(key: try .named("k-1"))
            for call in [{ _ = try await store.claim(request) }, { try await store.verify() }] {
                let message = await self.misconfiguration(call)
                #expect(message?.contains("idemptx store migrate") == true)
            }
            // As a service, it ends its group.
            _ = await self.misconfiguration { try await store.run() }
        }
    }

    @Test("of a later version is left as it is, and named as such")
    func later() async throws {
        try await PostgresServer.withDatabase { database in
            let store = try PostgresStore(url: database.url)
            try await store.migrate()
            let client = try PostgresClient(PostgresConfiguration(database.conninfo()))
            try await client.query("INSERT INTO idemptx.migration (version) VALUES (2)")
            for call in [{ try await store.migrate() }, { try await store.verify() }] {
                #expect(await self.misconfiguration(call)?.contains("later version") == true)
            }
            let error = await #expect(throws: PostgresError.self) {
                try await client.query(PostgresStore.migrationSQL())
            }
            #expect(error?.sqlState == "IX001")
            await client.close()
        }
    }

    @Test("can have another name, and holds records of its own then")
    func names() async throws {
        try await PostgresServer.withDatabase { database in
            let stores = try ["idemptx", "payments_2"].map {
                try PostgresStore(url: database.url, configuration: PostgresStoreConfiguration(schema: $0))
            }
            for store in stores { try await store.migrate() }
            let request = ClaimRequest(key: try .named("k-1"))
            for store in stores { #expect(await store.claimed(request) == "attempt 1") }
            for store in stores { #expect(try await store.statistics().total == 1) }
            #expect(!PostgresStore.migrationSQL(schema: "payments_2").contains("\"idemptx\""))
            #expect(stores[0].identity != stores[1].identity)
            #expect(try PostgresStore(url: database.url).identity == stores[0].identity)
        }
    }

    @Test(
        "has a name that needs no quotes",
        arguments: [
            ("idemptx", true), ("_a1", true), ("", false), ("A", false), ("1a", false), ("a\"", false),
            ("a b", false), ("a;b", false), ("pg_a", false), ("ä", false), (String(repeating: "a", count: 49), false),
        ])
    func validNames(name: String, isValid: Bool) {
        #expect(PostgresStoreConfiguration.isValid(schema: name) == isValid)
    }

    @Test("can be used by a role that may do nothing else, and says what another may not")
    func roles() async throws {
        try await PostgresServer.with { server in
            _ = try await server.makeStore()
            try await server.query("CREATE ROLE payments LOGIN")
            let url = "host=\(server.host) port=\(server.port) user=payments dbname=postgres"
            let store = try PostgresStore(url: url)
            let request = ClaimRequest(key: try .named("k-1"))
            #expect(await store.claimed(request) == "misconfigured")
            // As RunningPostgreSQL.md has it.
            try await server.query("GRANT USAGE ON SCHEMA idemptx TO payments")
            try await server.query("GRANT SELECT ON idemptx.migration TO payments")
            try await server.query("GRANT SELECT, INSERT, UPDATE, DELETE ON idemptx.record TO payments")

            try await store.migrate()
            try await store.verify()
            guard case .granted(let claim) = try await store.claim(request) else {
                Issue.record("The key should be free")
                return
            }
            #expect(try await store.renew(claim, lease: .seconds(60)))
            #expect(try await store.complete(claim, with: .charged, keyTTL: .seconds(60)))
            #expect(try await store.statistics().count(of: .completed) == 1)
            #expect(try await store.remove(request.key, reason: "a test"))
            #expect(try await store.sweepExpired(limit: 10) == 0)
            try await server.query("DROP SCHEMA idemptx CASCADE")
            #expect(await self.misconfiguration { try await store.migrate() }?.contains("permission denied") == true)
        }
    }

    @Test("is used without a word if the server is safe, and with a warning for each setting that is not")
    func settings() async throws {
        var options = PostgresServerOptions()
        options.isDurable = true
        try await PostgresServer.with(options) { server in
            let store = try await server.makeStore()
            func warnings() async throws -> [String] {
                let log = InMemoryLogHandler()
                try await withLogger(Logger(label: "test") { _ in log }) { _ in try await store.verify() }
                return log.entries.filter { $0.level == .warning }.map { "\($0.metadata["postgres.setting"] ?? "")" }
            }
            #expect(try await warnings() == [])
            for setting in ["fsync", "synchronous_commit"] {
                try await server.query("ALTER SYSTEM SET \(setting) = off")
            }
            try await server.query("SELECT pg_reload_conf()")
            // Given on the command line, fsync stays on.
            try await eventually("the setting is read") { try await warnings() == ["synchronous_commit = off"] }
        }
    }
}
