import LibPQ
import PostgresServerTesting
import TestSupport
import Testing

private struct Refusal: Error {}

@Suite("Transactions", .timeLimit(.minutes(10)))
struct TransactionTests {
    private func withTable(
        _ changes: Changes = .none, _ body: (PostgresClient, PostgresDatabase) async throws -> Void
    ) async throws {
        try await Fixture.withDatabase(changes) { client, database in
            try await client.query("CREATE TABLE t (id int8 PRIMARY KEY)")
            try await body(client, database)
        }
    }

    private func expect(
        _ client: PostgresClient, rows: Int64, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let count = try await client.integer("SELECT count(*) FROM t")
        #expect(count == rows, sourceLocation: sourceLocation)
    }

    @Test("What a transaction did is there when it returns, and not before", arguments: [true, false])
    func commits(usesPipelines: Bool) async throws {
        try await self.withTable(.with { $0.usesPipelines = usesPipelines }) { client, _ in
            let value = try await client.withTransaction { transaction in
                try await transaction.query("INSERT INTO t VALUES ($1)", [1])
                try await transaction.query("INSERT INTO t VALUES (2)")
                try await self.expect(client, rows: 0)
                return try await transaction.query("SELECT count(*) FROM t").first?.integer(0)
            }
            #expect(value == 2)
            try await self.expect(client, rows: 2)
        }
    }

    @Test("A transaction that throws did nothing, and its connection is used again", arguments: [true, false])
    func rollsBack(usesPipelines: Bool) async throws {
        try await self.withTable(
            .with {
                $0.usesPipelines = usesPipelines
                $0.maximumConnections = 1
            }
        ) { client, _ in
            let backend = try await client.integer("SELECT pg_backend_pid()")
            await #expect(throws: Refusal.self) {
                try await client.withTransaction { transaction in
                    try await transaction.query("INSERT INTO t VALUES (1)")
                    throw Refusal()
                }
            }
            try await self.expect(client, rows: 0)
            #expect(try await client.integer("SELECT pg_backend_pid()") == backend)
        }
    }

    @Test("A transaction of no statement needs no server")
    func empty() async throws {
        try await Fixture.withClient("host=/nowhere") { client in
            let value = try await client.withTransaction { _ in 7 }
            #expect(value == 7)
        }
    }

    @Test("An error of a statement that is not passed on rolls back all the same", arguments: [true, false])
    func swallowed(usesPipelines: Bool) async throws {
        try await self.withTable(.with { $0.usesPipelines = usesPipelines }) { client, _ in
            let error = await Fixture.error {
                try await client.withTransaction { transaction in
                    try await transaction.query("INSERT INTO t VALUES (1)")
                    _ = try? await transaction.query("INSERT INTO t VALUES (1)")
                }
            }
            #expect(error?.sqlState == "23505")
            #expect(error?.mayHaveHappened == false)
            try await self.expect(client, rows: 0)
        }
    }

    @Test("A first statement that fails does not run outside of the transaction", arguments: [true, false])
    func firstFails(usesPipelines: Bool) async throws {
        try await self.withTable(.with { $0.usesPipelines = usesPipelines }) { client, _ in
            let error = await Fixture.error {
                try await client.withTransaction { transaction in
                    _ = try? await transaction.query("SELECT 1 / 0")
                    let second = await Fixture.error { try await transaction.query("INSERT INTO t VALUES (1)") }
                    #expect(second?.sqlState == "25P02")
                }
            }
            #expect(error?.sqlState == "25P02")
            try await self.expect(client, rows: 0)
        }
    }

    @Test("Savepoints work inside")
    func savepoints() async throws {
        try await self.withTable { client, _ in
            try await client.withTransaction { transaction in
                try await transaction.query("INSERT INTO t VALUES (1)")
                try await transaction.query("SAVEPOINT s")
                _ = await Fixture.error { try await transaction.query("INSERT INTO t VALUES (1)") }
                try await transaction.query("ROLLBACK TO SAVEPOINT s")
                try await transaction.query("INSERT INTO t VALUES (2)")
            }
            try await self.expect(client, rows: 2)
        }
    }

    @Test("A statement that ends the transaction is told, also if that is not passed on", arguments: [true, false])
    func endedBehind(usesPipelines: Bool) async throws {
        try await self.withTable(.with { $0.usesPipelines = usesPipelines }) { client, _ in
            for (id, statement, isCommitted) in [
                (1, "COMMIT", true), (2, "END", true), (3, "COMMIT AND CHAIN", true), (4, "ROLLBACK", false),
            ] {
                let error = await Fixture.error {
                    try await client.withTransaction { transaction in
                        try await transaction.query("INSERT INTO t VALUES ($1)", [.integer(Int64(id))])
                        let inner = await Fixture.error { try await transaction.query(statement) }
                        #expect(inner == .transactionEnded(committed: isCommitted))
                        let next = await Fixture.error { try await transaction.query("INSERT INTO t VALUES (100)") }
                        #expect(next == .transactionEnded(committed: isCommitted))
                    }
                }
                #expect(error == .transactionEnded(committed: isCommitted))
                #expect(error?.mayHaveHappened == isCommitted)
            }
            try await self.expect(client, rows: 3)
        }
    }

    @Test("What fails at the commit did not happen")
    func failsAtCommit() async throws {
        try await self.withTable { client, _ in
            try await client.query("CREATE TABLE children (parent int8 REFERENCES t DEFERRABLE INITIALLY DEFERRED)")
            let error = await Fixture.error {
                try await client.withTransaction { try await $0.query("INSERT INTO children VALUES (9)") }
            }
            #expect(error?.sqlState == "23503")
            #expect(try await client.integer("SELECT count(*) FROM children") == 0)
        }
    }

    @Test("Serializable transactions that exclude each other do not both commit")
    func isolation() async throws {
        try await self.withTable { client, _ in
            try await client.query("INSERT INTO t VALUES (1), (2)")
            let (first, second) = (Gate(), Gate())
            @Sendable func change(_ id: Int64, _ own: Gate, _ other: Gate) async -> String {
                do {
                    try await client.withTransaction(isolation: .serializable) { transaction in
                        try await transaction.query("SELECT count(*) FROM t WHERE id > 0")
                        own.open()
                        await other.pass()
                        try await transaction.query("UPDATE t SET id = -id WHERE id = $1", [.integer(id)])
                    }
                    return "committed"
                } catch {
                    return (error as? PostgresError)?.sqlState ?? "\(error)"
                }
            }
            async let one = change(1, first, second)
            async let two = change(2, second, first)
            #expect(await [one, two].sorted() == ["40001", "committed"])
            for (isolation, name) in [
                (PostgresIsolation.readCommitted, "read committed"), (.repeatableRead, "repeatable read"),
                (.serializable, "serializable"), (.serverDefault, "read committed"),
            ] {
                let shown = try await client.withTransaction(isolation: isolation) { transaction in
                    try await transaction.query("SHOW transaction_isolation").first?.text(0)
                }
                #expect(shown == name)
            }
        }
    }

    @Test("A transaction whose connection is lost did nothing")
    func lost() async throws {
        try await self.withTable { client, database in
            let error = await Fixture.error {
                try await client.withTransaction { transaction in
                    try await transaction.query("INSERT INTO t VALUES (1)")
                    let backend = try await transaction.query("SELECT pg_backend_pid()").first?.integer(0)
                    try await Fixture.withClient(database.conninfo()) { other in
                        _ = try await other.query("SELECT pg_terminate_backend($1::int)", [.text("\(backend ?? 0)")])
                        try await eventually("it is gone") {
                            try await other.integer(
                                "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", [.integer(backend)]) == 0
                        }
                    }
                    try await transaction.query("INSERT INTO t VALUES (2)")
                }
            }
            guard case .unavailable = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            try await self.expect(client, rows: 0)
        }
    }

    @Test("A statement that takes too long takes the transaction with it, also at the server")
    func late() async throws {
        try await self.withTable { client, _ in
            var error: PostgresError?
            repeat {
                error = await Fixture.error {
                    try await client.withTransaction { transaction in
                        try await transaction.query("INSERT INTO t VALUES (1)")
                        let late = await Fixture.error {
                            try await transaction.query("SELECT pg_sleep(604)", timeout: .milliseconds(100))
                        }
                        #expect(late == .timedOut(mayHaveHappened: false))
                        try await transaction.query("INSERT INTO t VALUES (2)")
                    }
                }
                // On a busy machine, the time is over before the statement is sent.
            } while error == .timedOut(mayHaveHappened: false)
            guard case .unavailable = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            try await eventually("it is cancelled") { try await client.running("pg_sleep(604)") == 0 }
            try await self.expect(client, rows: 0)
        }
    }

    @Test("A transaction does not go on without a statement that was not sent")
    func incomplete() async throws {
        try await self.withTable { client, _ in
            for isFirst in [true, false] {
                let error = await Fixture.error {
                    try await client.withTransaction { transaction in
                        if !isFirst { try await transaction.query("INSERT INTO t VALUES (1)") }
                        _ = try? await transaction.query("INSERT INTO t VALUES (2)", timeout: .zero)
                        _ = try? await transaction.query("INSERT INTO t VALUES (3)")
                    }
                }
                #expect(error == .timedOut(mayHaveHappened: false))
            }
            try await self.expect(client, rows: 0)
        }
    }

    @Test("A task that is cancelled does not commit")
    func cancelled() async throws {
        try await self.withTable { client, _ in
            let (begun, cancelled) = (Gate(), Gate())
            let task = Task {
                try await client.withTransaction { transaction in
                    try await transaction.query("INSERT INTO t VALUES (1)")
                    begun.open()
                    await cancelled.pass()
                }
            }
            await begun.pass()
            task.cancel()
            cancelled.open()
            #expect(await Fixture.error { try await task.value } == .cancelled(mayHaveHappened: false))
            try await self.expect(client, rows: 0)
        }
    }

    @Test("More transactions than connections take turns, and leave one to other statements")
    func turns() async throws {
        try await self.withTable(.with { $0.maximumConnections = 3 }) { client, _ in
            try await withThrowingDiscardingTaskGroup { group in
                for number in 0..<40 {
                    group.addTask {
                        try await client.withTransaction { transaction in
                            try await transaction.query("INSERT INTO t VALUES ($1)", [.integer(Int64(number))])
                            // Would wait for ever if transactions could have all connections.
                            try await client.query("SELECT 1")
                        }
                    }
                }
            }
            try await self.expect(client, rows: 40)
        }
    }

    @Test("A transaction gets its turn although others keep all connections busy")
    func noStarvation() async throws {
        try await self.withTable(.with { $0.maximumConnections = 2 }) { client, _ in
            try await withThrowingTaskGroup { group in
                for _ in 0..<16 {
                    group.addTask { while !Task.isCancelled { _ = try? await client.query("SELECT 1") } }
                }
                try await client.withTransaction { try await $0.query("INSERT INTO t VALUES (1)") }
                group.cancelAll()
                try await group.waitForAll()
            }
            try await self.expect(client, rows: 1)
        }
    }

    @Test("A transaction is over when it has returned")
    func over() async throws {
        try await self.withTable { client, _ in
            let transaction = try await client.withTransaction { transaction in
                try await transaction.query("INSERT INTO t VALUES (1)")
                return transaction
            }
            let error = await Fixture.error { try await transaction.query("INSERT INTO t VALUES (2)") }
            #expect(error == .invalidStatement("The transaction is over."))
            try await self.expect(client, rows: 1)
        }
    }
}
