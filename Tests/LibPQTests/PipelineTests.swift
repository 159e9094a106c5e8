import LibPQ
import PostgresServerTesting
import TestSupport
import Testing

@Suite("Callers that share connections", .timeLimit(.minutes(10)))
struct PipelineTests {
    @Test("A thousand callers get their own results over a few connections", arguments: [true, false])
    func thousand(usesPipelines: Bool) async throws {
        let configure = { @Sendable (configuration: inout PostgresConfiguration) in
            configuration.maximumConnections = 4
            configuration.usesPipelines = usesPipelines
            configuration.applicationName = "a-thousand"
        }
        try await Fixture.withDatabase(.with(configure)) { client, _ in
            try await withThrowingTaskGroup { group in
                for number in 0..<1000 {
                    group.addTask {
                        let row = try await client.query("SELECT $1::int8, pg_backend_pid()", [.integer(Int64(number))])
                            .first
                        #expect(try row?.integer(0) == Int64(number))
                        return try row?.integer(1)
                    }
                }
                let backends = try await group.reduce(into: Set<Int64?>()) { $0.insert($1) }
                #expect(backends.count <= 4)
                #expect(!backends.contains(nil))
            }
            let count = try await client.integer(
                """
                SELECT count(*) FROM pg_stat_activity
                WHERE application_name = 'a-thousand' AND datname = current_database()
                """)
            #expect(try #require(count) <= 4)
        }
    }

    @Test(
        "A statement is sent behind another on the same connection, where libpq can do that", arguments: [true, false])
    func behind(usesPipelines: Bool) async throws {
        try await Fixture.withDatabase(
            .with {
                $0.maximumConnections = 1
                $0.usesPipelines = usesPipelines
                $0.slowThreshold = .seconds(60)
            }
        ) { client, database in
            try await Fixture.withClient(database.conninfo()) { other in
                try await other.withTransaction { transaction in
                    try await transaction.query("SELECT pg_advisory_xact_lock(1)")
                    let first = Task { try await client.query("SELECT pg_advisory_xact_lock(1)") }
                    try await eventually("it waits") { try await other.running("SELECT pg_advisory_xact_lock(1)") == 1 }
                    let error = await Fixture.error { try await client.query("SELECT 1", timeout: .seconds(1)) }
                    // Whether it was sent is what its caller is told.
                    #expect(error == .timedOut(mayHaveHappened: usesPipelines))
                    try await transaction.query("SELECT 1")
                    first.cancel()
                }
                #expect(try await client.integer("SELECT 2") == 2)
            }
        }
    }

    @Test("A statement that goes first is run before those that wait already")
    func goesFirst() async throws {
        try await Fixture.withDatabase(
            .with {
                $0.maximumConnections = 1
                $0.usesPipelines = false
                $0.maximumPendingStatements = 1
            }
        ) { client, database in
            try await client.query("CREATE TABLE entry (id int GENERATED ALWAYS AS IDENTITY, name text)")
            /// Starts a call that is queued when this returns: the queue has room for one of each kind.
            func queue(_ name: String, goesFirst: Bool) async throws -> Task<Void, any Error> {
                let task = Task<Void, any Error> {
                    let sql = "INSERT INTO entry (name) VALUES ($1)"
                    while true {
                        do {
                            try await client.query(sql, [.text(name)], goesFirst: goesFirst)
                            return
                        } catch PostgresError.queueFull {
                            // One that looks whether this is queued has its place.
                            await Task.yield()
                        }
                    }
                }
                try await eventually("\(name) is queued") {
                    do {
                        try await client.query("SELECT 1", timeout: .milliseconds(10), goesFirst: goesFirst)
                    } catch PostgresError.queueFull {
                        return true
                    } catch PostgresError.timedOut {}
                    return false
                }
                return task
            }
            try await Fixture.withClient(database.conninfo()) { other in
                let tasks = try await other.withTransaction { transaction in
                    try await transaction.query("SELECT pg_advisory_xact_lock(1)")
                    let lock = Task<Void, any Error> { try await client.query("SELECT pg_advisory_xact_lock(1)") }
                    try await eventually("it waits") { try await other.running("SELECT pg_advisory_xact_lock(1)") == 1 }
                    return [
                        lock, try await queue("usual", goesFirst: false), try await queue("urgent", goesFirst: true),
                    ]
                }
                for task in tasks { try await task.value }
            }
            let names = try await client.query("SELECT name FROM entry ORDER BY id").rows.map { try $0.text(0) }
            #expect(names == ["urgent", "usual"])
        }
    }

    @Test("The error of one caller is none of the others'", arguments: [true, false])
    func errorsStayApart(usesPipelines: Bool) async throws {
        try await Fixture.withDatabase(
            .with {
                $0.maximumConnections = 1
                $0.usesPipelines = usesPipelines
            }
        ) { client, _ in
            try await client.query("CREATE TABLE t (id int8 PRIMARY KEY)")
            let outcomes = await withTaskGroup { group in
                for number in 0..<200 {
                    group.addTask {
                        // Each number is inserted twice.
                        do throws(PostgresError) {
                            try await client.query("INSERT INTO t VALUES ($1)", [.integer(Int64(number / 2))])
                            return "inserted"
                        } catch {
                            return error.sqlState ?? "\(error)"
                        }
                    }
                }
                return await group.reduce(into: [String: Int]()) { $0[$1, default: 0] += 1 }
            }
            #expect(outcomes == ["inserted": 100, "23505": 100])
            #expect(try await client.integer("SELECT count(*) FROM t") == 100)
        }
    }

    @Test("A slow statement does not stall the others")
    func slow() async throws {
        try await Fixture.withDatabase(.with { $0.maximumConnections = 2 }) { client, _ in
            let slow = Task { try await client.query("SELECT pg_sleep(600)", timeout: .seconds(600)) }
            try await eventually("it runs") { try await client.running("pg_sleep(600)") == 1 }
            for number in Int64(0)..<200 {
                #expect(try await client.integer("SELECT $1::int8", [.integer(number)]) == number)
            }
            slow.cancel()
            #expect(await Fixture.error { try await slow.value } == .cancelled(mayHaveHappened: true))
            try await client.cancelRunning("pg_sleep(600)")
        }
    }

    @Test("Statements that cannot be sent wait, up to a bound")
    func bounded() async throws {
        try await Fixture.withDatabase(
            .with {
                $0.maximumConnections = 1
                $0.maximumPendingStatements = 3
                $0.slowThreshold = .zero
            }
        ) { client, database in
            try await Fixture.withClient(database.conninfo()) { other in
                let slow = Task { try await client.query("SELECT pg_sleep(601)", timeout: .seconds(600)) }
                try await eventually("it runs") { try await other.running("pg_sleep(601)") == 1 }
                let waiting = (0..<4).map { _ in Task { try await client.integer("SELECT 1") } }
                let outcomes = await withTaskGroup { group in
                    for task in waiting { group.addTask { await task.result } }
                    // One does not fit, which says so at once; then the way is freed for the others.
                    var outcomes = [await group.next()]
                    _ = try? await other.cancelRunning("pg_sleep(601)")
                    for await outcome in group { outcomes.append(outcome) }
                    return outcomes.compactMap(\.self)
                }
                #expect(throws: PostgresError.queueFull) { try outcomes[0].get() }
                for outcome in outcomes.dropFirst() { #expect(try outcome.get() == 1) }
                #expect(await Fixture.error { try await slow.value }?.sqlState == "57014")
            }
        }
    }

    @Test("Idle connections are closed, but the last one")
    func idle() async throws {
        try await Fixture.withDatabase(
            .with {
                $0.idleTimeout = .milliseconds(50)
                $0.applicationName = "idle"
            }
        ) { client, database in
            try await Fixture.withClient(database.conninfo()) { other in
                func connections() async throws -> Int64? {
                    try await other.integer("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'idle'")
                }
                try await withThrowingDiscardingTaskGroup { group in
                    for _ in 0..<3 { group.addTask { try await client.query("SELECT pg_sleep(0.2)") } }
                }
                try await eventually("the others are closed") { try await connections() == 1 }
                #expect(try await client.integer("SELECT 1") == 1)
            }
        }
    }
}
