import Foundation
import PostgresServerTesting
import TestSupport
import Testing

/// Two processes share one PostgreSQL, and one ledger.
@Suite("idemptx on PostgreSQL", .timeLimit(.minutes(10)))
struct PostgresDemoTests {
    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    private func start(_ store: String, _ arguments: String...) async throws -> Demo {
        try await Demo.start(["--store", store] + arguments, in: self.directory)
    }

    private func run(_ arguments: String...) async throws -> (status: Int32, output: String, errors: String) {
        let process = try CommandProcess(arguments, in: self.directory)
        let status = try await process.exitStatus()
        return (status, process.outputText, process.errorText)
    }

    @Test("charges once, though twenty requests are spread over two processes")
    func spread() async throws {
        try await PostgresServer.withDatabase { database in
            // Both install the schema.
            async let first = self.start(database.url, "--wait-timeout", "30s")
            async let second = self.start(database.url, "--wait-timeout", "30s")
            let demos = [try await first, try await second]
            let responses = try await withThrowingTaskGroup(of: Response.self) { group in
                for index in 0..<20 {
                    group.addTask { try await demos[index % 2].charge(key: "k-1", latency: "500ms") }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(responses.allSatisfy { $0.repeatable == responses[0].repeatable && $0.status == 201 })
            for demo in demos { #expect(try await demo.ledger().count == 1) }
        }
    }

    @Test("keeps its charges beside the records, where demos that run elsewhere find them")
    func sharedLedger() async throws {
        try await PostgresServer.withDatabase { database in
            let first = try await self.start(database.url)
            #expect(try await first.charge(key: "k-1").status == 201)
            let elsewhere = try CommandProcess.Directory()
            let second = try await Demo.start(["--store", database.url], in: elsewhere)
            #expect(try await second.ledger() == first.ledger())
            let local = try await Demo.start(["--store", database.url, "--ledger", "own.sqlite"], in: elsewhere)
            #expect(try await local.ledger().isEmpty)
            #expect(try await local.charge(key: "k-1").header("Idempotent-Replayed") == "true")
        }
    }

    @Test("keeps its charges where somebody else has created the table")
    func tableOfAnother() async throws {
        try await PostgresServer.with { server in
            let address = "127.0.0.1:\(server.port)/postgres"
            #expect(try await self.start("postgres://postgres@\(address)").charge(key: "k-1").status == 201)
            try await server.query("CREATE ROLE cashier LOGIN")
            try await server.query("GRANT USAGE ON SCHEMA idemptx TO cashier")
            try await server.query("GRANT ALL ON ALL TABLES IN SCHEMA idemptx, public TO cashier")
            let other = try await self.start("postgres://cashier@\(address)")
            #expect(try await other.charge(key: "k-2").status == 201)
            #expect(try await other.ledger().count == 2)
        }
    }

    @Test(
        "does not start on a table that is not its own, or where it may not write",
        arguments: [
            "CREATE TABLE idemptx_demo_charge (x int); GRANT ALL ON idemptx_demo_charge TO cashier",
            "CREATE TABLE idemptx_demo_charge (id bigint, amount bigint, currency text, reference text, attempt bigint)",
        ])
    func tableOfAnotherKind(sql: String) async throws {
        try await PostgresServer.with { server in
            let store = "postgres://cashier@127.0.0.1:\(server.port)/postgres"
            try await server.query("CREATE ROLE cashier LOGIN")
            try await server.query("GRANT CREATE ON DATABASE postgres TO cashier")
            for statement in sql.split(separator: "; ") { try await server.query(String(statement)) }
            let demo = try await self.run("demo", "--store", store, "--port", "0")
            #expect(demo.status == 1)
            #expect(demo.errors.contains("Error: --store: the demo cannot keep its charges there: "))
        }
    }

    @Test("refuses while PostgreSQL is away, and works again when it is back, without a restart")
    func outage() async throws {
        try await PostgresServer.with { server in
            let demo = try await self.start(
                "postgres://postgres@127.0.0.1:\(server.port)/postgres", "--ledger", "ledger.sqlite")
            #expect(try await demo.charge(key: "k-1").status == 201)
            try await server.kill()
            let refused = try await demo.charge(key: "k-2")
            #expect(refused.status == 503)
            #expect(refused.header("Retry-After") != nil)
            #expect(try await demo.ledger().count == 1)
            try await server.restart()
            try await eventually("PostgreSQL is used again") { try await demo.charge(key: "k-2").status == 201 }
            #expect(try await demo.charge(key: "k-1").header("Idempotent-Replayed") == "true")
            #expect(try await demo.ledger().count == 2)
        }
    }

    @Test("prints the SQL of its schema without a server, and installs it with one")
    func migration() async throws {
        let printed = try await self.run(
            "store", "migration", "--store", "postgres://nowhere.invalid/orders", "--postgres-schema", "payments")
        #expect(printed.status == 0 && printed.errors.isEmpty)
        #expect(printed.output.contains(#"CREATE TABLE "payments".record ("#))
        try await PostgresServer.withDatabase { database in
            // An operator's command installs nothing.
            let missing = try await self.run("keys", "stats", "--store", database.url)
            #expect(missing.status == 1 && missing.errors.contains("idemptx store migrate"))
            for _ in 1...2 {
                let migrated = try await self.run("store", "migrate", "--store", database.url)
                #expect(migrated.output == "The schema idemptx is up to date.\n")
            }
            #expect(try await self.run("keys", "stats", "--store", database.url).status == 0)
        }
        let other = try await self.run("store", "migrate", "--store", "sqlite:store.sqlite")
        #expect(other.status == 1 && other.errors.hasPrefix("Error: --store: only a store in PostgreSQL"))
    }
}
