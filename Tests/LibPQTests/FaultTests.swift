import LibPQ
import PostgresServerTesting
import TestSupport
import Testing

@Suite("Faults of a server or of the way to it", .timeLimit(.minutes(10)))
struct FaultTests {
    @Test("A session that is read-only is replaced: a new one may write")
    func readOnlySession() async throws {
        try await Fixture.withDatabase { client, database in
            let option = "default_transaction_read_only"
            try await client.query("ALTER DATABASE \(database.name) SET \(option) = on")
            try await Fixture.withClient(database.conninfo(), { $0.maximumConnections = 1 }) { other in
                let error = await Fixture.error { try await other.query("CREATE TABLE entry ()") }
                #expect(error?.sqlState == "25006")
                try await client.query("ALTER DATABASE \(database.name) RESET \(option)")
                try await eventually("it writes") {
                    (try? await other.query("CREATE TABLE IF NOT EXISTS entry ()")) != nil
                }
            }
        }
    }

    @Test("A statement that was under way when the server was killed may have happened")
    func killed() async throws {
        try await Fixture.withServer { server in
            try await Fixture.withClient(server.conninfo()) { client in
                let task = Task { try await client.query("SELECT pg_sleep(605)", timeout: .seconds(600)) }
                try await eventually("it runs") {
                    try await server.query("SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(605)'").rowCount
                        == 1
                }
                try await server.kill()
                let error = await Fixture.error { try await task.value }
                guard case .replyLost = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                #expect(error?.mayHaveHappened == true)
            }
        }
    }

    @Test("A statement for a server that is not there did not happen, and fails at once after some attempts")
    func refused() async throws {
        try await Fixture.withServer { server in
            try await Fixture.withClient(server.conninfo(), { $0.maximumConnectFailures = 2 }) { client in
                try await server.kill()
                for _ in 0..<3 {
                    let error = await Fixture.error { try await client.query("SELECT 1") }
                    guard case .unavailable(let sentence) = error else {
                        Issue.record("\(String(describing: error))")
                        return
                    }
                    #expect(sentence.contains("refused"))
                    #expect(error?.mayHaveHappened == false)
                }
                let error = await Fixture.error { try await client.withTransaction { try await $0.query("SELECT 1") } }
                #expect(error?.mayHaveHappened == false)
            }
        }
    }

    @Test("A statement outwaits a short absence of the server", arguments: [true, false])
    func shortAbsence(usesPipelines: Bool) async throws {
        try await Fixture.withServer { server in
            try await Fixture.withClient(
                server.conninfo(),
                {
                    $0.maximumConnectFailures = .max
                    $0.usesPipelines = usesPipelines
                }
            ) { client in
                try await client.query("CREATE TABLE t (id int8)")
                try await client.query("INSERT INTO t VALUES (1)")
                try await server.kill()
                let task = Task {
                    while true {
                        // The one that notices the loss may have been on its way.
                        do { return try await client.integer("SELECT count(*) FROM t") } catch PostgresError.replyLost {
                        }
                    }
                }
                try await server.restart()
                #expect(try await task.value == 1)
            }
        }
    }

    @Test("Calls that fail at once find the server when it is back")
    func comesBack() async throws {
        try await Fixture.withServer { server in
            try await Fixture.withClient(server.conninfo(), { $0.maximumConnectFailures = 1 }) { client in
                try await server.kill()
                _ = await Fixture.error { try await client.query("SELECT 1") }
                try await server.restart()
                try await eventually("the server is used again") { try await client.integer("SELECT 1") == 1 }
            }
        }
    }

    @Test("A halted server makes callers late, and is used again when it goes on")
    func halted() async throws {
        try await Fixture.withServer { server in
            try await Fixture.withClient(server.conninfo()) { client in
                try await client.query("CREATE TABLE t (id int8)")
                server.pause()
                let error = await Fixture.error {
                    try await client.query("INSERT INTO t VALUES (1)", timeout: .seconds(1))
                }
                #expect(error == .timedOut(mayHaveHappened: true))
                server.resume()
                // It was told the truth: the statement happens now.
                try await eventually("it happens") { try await client.integer("SELECT count(*) FROM t") == 1 }
            }
        }
    }

    @Test("A connection of a halted server is given up, and another made when it goes on")
    func givenUp() async throws {
        try await Fixture.withServer { server in
            try await Fixture.withClient(
                server.conninfo(),
                {
                    $0.maximumConnections = 1
                    $0.cancelGrace = .seconds(2)
                    $0.slowThreshold = .seconds(60)
                }
            ) { client in
                try await client.query("SELECT 1")
                server.pause()
                let error = await Fixture.error { try await client.query("SELECT 2", timeout: .seconds(1)) }
                #expect(error == .timedOut(mayHaveHappened: true))
                // This one is sent behind it, and goes down with it.
                let behind = await Fixture.error { try await client.query("SELECT 3") }
                #expect(behind == .replyLost("The server has not replied in time."))
                server.resume()
                try await eventually("the server is used again") { try await client.integer("SELECT 1") == 1 }
            }
        }
    }

    @Test("A connection that the server ends while it is idle is not used")
    func terminatedIdle() async throws {
        try await Fixture.withDatabase(.with { $0.maximumConnections = 1 }) { client, database in
            let backend = try await client.integer("SELECT pg_backend_pid()")
            try await Fixture.withClient(database.conninfo()) { other in
                _ = try await other.query("SELECT pg_terminate_backend($1::text::int)", [.text("\(backend ?? 0)")])
                try await eventually("another connection is used") {
                    try await client.integer("SELECT pg_backend_pid()") != backend
                }
            }
        }
    }

    @Test("A statement whose connection the server ends may have happened, with a word of the server")
    func terminatedBusy() async throws {
        try await Fixture.withDatabase { client, database in
            try await Fixture.withClient(database.conninfo()) { other in
                let task = Task { try await client.query("SELECT pg_sleep(606)", timeout: .seconds(600)) }
                try await eventually("it runs") { try await other.running("pg_sleep(606)") == 1 }
                try await other.query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(606)'")
                let error = await Fixture.error { try await task.value }
                guard case .replyLost(let sentence) = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                #expect(sentence.contains("57P01"))
            }
        }
    }

    @Test("A reply that the way has lost leaves a doubt, and a commit too")
    func replyCut() async throws {
        try await Fixture.withServer { server in
            try await server.query("CREATE TABLE t (id int8)")
            try await TCPProxy.with(port: server.port) { proxy in
                let conninfo = "host=127.0.0.1 port=\(await proxy.port) user=postgres dbname=postgres sslmode=disable"
                try await Fixture.withClient(conninfo, { $0.maximumConnections = 1 }) { client in
                    try await client.query("SELECT 1")
                    await proxy.cutBeforeNextReply()
                    let error = await Fixture.error { try await client.query("INSERT INTO t VALUES (1)") }
                    #expect(error?.mayHaveHappened == true)
                    #expect(try await server.query("SELECT FROM t").rowCount == 1)

                    let commit = await Fixture.error {
                        try await client.withTransaction { transaction in
                            try await transaction.query("INSERT INTO t VALUES (2)")
                            await proxy.cutBeforeNextReply()
                        }
                    }
                    #expect(commit?.mayHaveHappened == true)
                    #expect(try await server.query("SELECT FROM t").rowCount == 2)

                    let inside = await Fixture.error {
                        try await client.withTransaction { transaction in
                            try await transaction.query("INSERT INTO t VALUES (3)")
                            await proxy.cutBeforeNextReply()
                            try await transaction.query("INSERT INTO t VALUES (4)")
                        }
                    }
                    #expect(inside?.mayHaveHappened == false)
                    try await eventually("it is rolled back") { try await server.query("SELECT FROM t").rowCount == 2 }
                }
            }
        }
    }

    @Test("A commit that is late, or whose caller is cancelled, leaves a doubt")
    func commitHeld() async throws {
        try await Fixture.withServer { server in
            try await server.query("CREATE TABLE t (id int8)")
            try await TCPProxy.with(port: server.port) { proxy in
                let conninfo = "host=127.0.0.1 port=\(await proxy.port) user=postgres dbname=postgres sslmode=disable"
                try await Fixture.withClient(conninfo) { client in
                    let task = Task {
                        try await client.withTransaction { transaction in
                            try await transaction.query("INSERT INTO t VALUES (1)")
                            await proxy.holdReplies()
                        }
                    }
                    try await eventually("it is committed") { try await server.query("SELECT FROM t").rowCount == 1 }
                    task.cancel()
                    #expect(await Fixture.error { try await task.value } == .cancelled(mayHaveHappened: true))
                    await proxy.release()
                    let late = await Fixture.error {
                        try await client.withTransaction(timeout: .seconds(1)) { transaction in
                            try await transaction.query("INSERT INTO t VALUES (2)", timeout: .seconds(60))
                            await proxy.holdReplies()
                        }
                    }
                    #expect(late == .timedOut(mayHaveHappened: true))
                    await proxy.release()
                    try await eventually("it is committed") { try await client.integer("SELECT count(*) FROM t") == 2 }
                }
            }
        }
    }

    @Test("A list of hosts leads to the one that takes writes, also after a failover")
    func failover() async throws {
        try await Fixture.withServer { primary in
            try await primary.query("CREATE TABLE t (id int8)")
            try await primary.withStandby { standby in
                let hosts = "host=127.0.0.1,127.0.0.1 port=\(standby.port),\(primary.port)"
                let conninfo = "\(hosts) user=postgres dbname=postgres target_session_attrs=read-write"
                try await Fixture.withClient(conninfo, { $0.maximumConnectFailures = .max }) { client in
                    #expect(try await client.query("INSERT INTO t VALUES (1)").affectedRows == 1)
                    try await eventually("the standby has it") {
                        try await standby.query("SELECT FROM t").rowCount == 1
                    }
                    try await primary.kill()
                    try await standby.query("SELECT pg_promote()")
                    try await eventually("the standby is used") {
                        try await client.integer("SELECT count(*) FROM t") == 1
                    }
                    #expect(try await client.query("INSERT INTO t VALUES (2)").affectedRows == 1)
                }
            }
        }
    }
}
