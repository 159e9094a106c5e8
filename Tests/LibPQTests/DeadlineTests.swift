import LibPQ
import PostgresServerTesting
import TestSupport
import Testing

@Suite("Deadlines and cancellation", .timeLimit(.minutes(10)))
struct DeadlineTests {
    @Test("A caller whose time is over goes, and the connection stays", arguments: [true, false])
    func late(usesPipelines: Bool) async throws {
        try await Fixture.withDatabase(
            .with {
                $0.maximumConnections = 1
                $0.usesPipelines = usesPipelines
            }
        ) { client, _ in
            let backend = try await client.integer("SELECT pg_backend_pid()")
            let error = await Fixture.error {
                try await client.query("SELECT pg_sleep(3)", timeout: .seconds(1))
            }
            #expect(error == .timedOut(mayHaveHappened: true))
            // It waits for the late reply, which is nobody's.
            #expect(try await client.integer("SELECT pg_backend_pid()") == backend)
        }
    }

    @Test("A statement that was not sent in time did not happen")
    func unsent() async throws {
        try await Fixture.withDatabase(
            .with {
                $0.maximumConnections = 1
                $0.slowThreshold = .zero
            }
        ) { client, database in
            try await client.query("CREATE TABLE t (id int8)")
            try await Fixture.withClient(database.conninfo()) { other in
                let slow = Task { try await client.query("SELECT pg_sleep(602)", timeout: .seconds(600)) }
                try await eventually("it runs") { try await other.running("pg_sleep(602)") == 1 }
                let late = await Fixture.error {
                    try await client.query("INSERT INTO t VALUES (1)", timeout: .milliseconds(100))
                }
                #expect(late == .timedOut(mayHaveHappened: false))
                let over = await Fixture.error { try await client.query("INSERT INTO t VALUES (2)", timeout: .zero) }
                #expect(over == .timedOut(mayHaveHappened: false))
                let waiting = Task { try await client.query("INSERT INTO t VALUES (3)") }
                waiting.cancel()
                #expect(await Fixture.error { try await waiting.value } == .cancelled(mayHaveHappened: false))
                try await other.cancelRunning("pg_sleep(602)")
                #expect(await Fixture.error { try await slow.value }?.sqlState == "57014")
            }
            #expect(try await client.integer("SELECT count(*) FROM t") == 0)
        }
    }

    @Test("A statement that goes on after its deadline is not cancelled: its commit may be waiting for a standby")
    func goesOnAtServer() async throws {
        try await Fixture.withDatabase(
            .with {
                $0.maximumConnections = 1
                $0.cancelGrace = .milliseconds(100)
            }
        ) { client, database in
            try await client.query("CREATE TABLE t (id int8)")
            try await Fixture.withClient(database.conninfo()) { other in
                try await other.withTransaction { transaction in
                    try await transaction.query("LOCK TABLE t")
                    let error = await Fixture.error {
                        try await client.query("INSERT INTO t VALUES (1)", timeout: .seconds(1))
                    }
                    #expect(error == .timedOut(mayHaveHappened: true))
                    // Its connection is given up, so that others get their turn.
                    #expect(try await client.integer("SELECT 1") == 1)
                    #expect(try await other.running("INSERT INTO t") == 1)
                }
            }
            try await eventually("it happens") { try await client.integer("SELECT count(*) FROM t") == 1 }
        }
    }

    @Test("A caller that is cancelled goes at once, whether its statement was sent or not")
    func cancelled() async throws {
        try await Fixture.withDatabase { client, database in
            try await Fixture.withClient(database.conninfo()) { other in
                let task = Task { try await client.query("SELECT pg_sleep(603)", timeout: .seconds(600)) }
                try await eventually("it runs") { try await other.running("pg_sleep(603)") == 1 }
                task.cancel()
                #expect(await Fixture.error { try await task.value } == .cancelled(mayHaveHappened: true))
                let cancelled = Task {
                    unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                    return try await client.query("SELECT 1")
                }
                #expect(await Fixture.error { try await cancelled.value } == .cancelled(mayHaveHappened: false))
                try await other.cancelRunning("pg_sleep(603)")
            }
        }
    }

    @Test("Closing waits for what is under way, and refuses the rest")
    func closing() async throws {
        _ = Fixture.serviceFile
        try await PostgresServer.withDatabase { database in
            var configuration = PostgresConfiguration(database.conninfo())
            configuration.statementTimeout = .seconds(60)
            let client = try PostgresClient(configuration)
            try await client.query("CREATE TABLE t (id int8)")
            try await Fixture.withClient(database.conninfo()) { other in
                let (task, closing) = try await other.withTransaction { transaction in
                    try await transaction.query("SELECT pg_advisory_xact_lock(1)")
                    let task = Task { try await client.query("INSERT INTO t SELECT 1 FROM pg_advisory_xact_lock(1)") }
                    try await eventually("it runs") { try await other.running("INSERT INTO t") == 1 }
                    let closing = Task { await client.close() }
                    try await eventually("it is closing") {
                        do throws(PostgresError) {
                            try await client.query("SELECT 1")
                            return false
                        } catch {
                            return error == .closed
                        }
                    }
                    return (task, closing)
                }
                await closing.value
                #expect(try await task.value.affectedRows == 1)
                #expect(await Fixture.error { try await client.query("SELECT 1") } == .closed)
                #expect(try await other.integer("SELECT count(*) FROM t") == 1)
                for await event in client.listen("channel") { Issue.record("\(event)") }
                await client.close()
            }
        }
    }

    @Test("A client that nobody has any more closes its connections")
    func dropped() async throws {
        try await Fixture.withDatabase { other, database in
            do {
                var configuration = PostgresConfiguration(database.conninfo(), applicationName: "dropped")
                configuration.statementTimeout = .seconds(60)
                _ = try await PostgresClient(configuration).query("SELECT 1")
            }
            try await eventually("it is gone") {
                try await other.integer("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dropped'") == 0
            }
        }
    }
}
