import Idemptx
import IdemptxPostgres
import IdemptxPostgresNIO
import PostgresNIO
import PostgresServerTesting
import StoreTestSupport
import TestSupport
import Testing

@Suite("Statements over PostgresNIO", .timeLimit(.minutes(3)))
struct ExecutorTests {
    private func code(_ call: () async throws -> Void) async -> StoreError.Code? {
        do {
            try await call()
            return nil
        } catch {
            return (error as? StoreError)?.code
        }
    }

    @Test("Values come back as they were sent")
    func values() async throws {
        try await withServer { _, _, executor in
            let values: [PostgresValue] = [
                .null, .integer(.min), .boolean(true), .text("é"), .bytes(Array(UInt8.min...UInt8.max)),
            ]
            let rows = try await executor.query(
                "SELECT $1::int8, $2::int8, $3::bool, $4::text, $5::bytea, 7::int2, 8::int4", values)
            #expect(rows == [values + [.integer(7), .integer(8)]])
            #expect(try await executor.query("SELECT 1 WHERE false").isEmpty)
        }
    }

    @Test("What the server refuses is told by its name, and the connection goes on")
    func refused() async throws {
        try await withServer(connections: 1) { _, _, executor in
            for _ in 0..<3 {
                let error = await #expect(throws: PostgresServerError.self) { try await executor.query("SELECT 1/0") }
                #expect(error?.sqlState == "22012")
            }
            let rows = try await executor.query("SELECT 1")
            #expect(rows == [[.integer(1)]])
        }
    }

    @Test("A commit that fails behind the rows is no success")
    func failedCommit() async throws {
        try await withServer { _, _, executor in
            try await executor.query("CREATE TABLE account (id int8 UNIQUE DEFERRABLE INITIALLY DEFERRED)")
            let insert = "INSERT INTO account VALUES (1) RETURNING id"
            #expect(try await executor.query(insert) == [[.integer(1)]])
            #expect(await self.code { _ = try await executor.query(insert) } == .replyLost)
            #expect(try await executor.query("SELECT count(*) FROM account") == [[.integer(1)]])
        }
    }

    @Test("A server that is halted costs no more than the deadline, and is used again")
    func halted() async throws {
        try await withServer { server, _, executor in
            server.pause()
            let statement = PostgresStatement("SELECT 1")
            #expect(
                await self.code { _ = try await executor.execute(statement, timeout: .milliseconds(300)) } == .replyLost
            )
            server.resume()
            try await eventually("The server is used again") {
                try await executor.execute(statement, timeout: .seconds(5)) == [[.integer(1)]]
            }
        }
    }

    @Test("A server that is not there is unavailable, and nothing was sent")
    func absent() async throws {
        try await withClient(port: 1) { client in
            let executor = PostgresNIOExecutor(client: client)
            #expect(
                await self.code {
                    _ = try await executor.execute(PostgresStatement("SELECT 1"), timeout: .milliseconds(300))
                } == .unavailable)
        }
    }

    @Test("A cancelled call ends, though the server does not reply")
    func cancelled() async throws {
        try await withServer { server, _, executor in
            server.pause()
            let call = Task { try await executor.query("SELECT 1") }
            call.cancel()
            await #expect(throws: StoreError.self) { try await call.value }
            server.resume()
        }
    }

    @Test("A lost reply is an unknown outcome, and the call can be repeated")
    func lostReplies() async throws {
        try await withServer { server, _, _ in
            try await TCPProxy.with(port: server.port) { proxy in
                try await withClient(port: await proxy.port, connections: 1) { client in
                    let store = PostgresStore(executor: PostgresNIOExecutor(client: client, listens: false))
                    let request = ClaimRequest(key: try .named("k-1"))
                    // So that it is connected.
                    _ = try await store.claim(ClaimRequest(key: try .named("k-0")))

                    await proxy.cutBeforeNextReply()
                    #expect(await self.code { _ = try await store.claim(request) } == .replyLost)
                    guard case .granted(let claim) = try await self.whenConnected({ try await store.claim(request) })
                    else {
                        Issue.record("A claim whose reply was lost belongs to its owner")
                        return
                    }
                    #expect(claim.attempt == 1)

                    await proxy.cutBeforeNextReply()
                    #expect(
                        await self.code { _ = try await store.complete(claim, with: .charged, keyTTL: .seconds(9)) }
                            == .replyLost)
                    let isCompleted = try await self.whenConnected {
                        try await store.complete(claim, with: .charged, keyTTL: .seconds(9))
                    }
                    #expect(isCompleted)
                }
            }
        }
    }

    /// Calls again while the client still has the connection that was cut.
    private func whenConnected<Value: ~Copyable>(_ body: () async throws -> Value) async throws -> Value {
        for _ in 0..<100 {
            do {
                return try await body()
            } catch let error as StoreError where error.code == .unavailable {
                try await Task.sleep(for: .milliseconds(10))
            }
        }
        return try await body()
    }

    @Test("An engine survives lost replies at every call")
    func engineWithLostReplies() async throws {
        try await withServer { server, _, _ in
            try await TCPProxy.with(port: server.port) { proxy in
                try await withClient(port: await proxy.port) { client in
                    let store = PostgresStore(executor: PostgresNIOExecutor(client: client, listens: false))
                    let idempotency = Idempotency(store: store)
                    let ledger = Ledger()
                    for number in 0..<20 {
                        if number.isMultiple(of: 2) { await proxy.cutBeforeNextReply() }
                        let entry = try await idempotency.run("charge", key: "k-\(number)") { _ in
                            await proxy.cutBeforeNextReply()
                            return ledger.add()
                        }
                        #expect(try await idempotency.run("charge", key: "k-\(number)") { _ in ledger.add() } == entry)
                    }
                    #expect(ledger.count == 20)
                }
            }
        }
    }

    @Test("A server that is killed refuses for a bounded time; back, it works again with all that it had")
    func killed() async throws {
        try await withServer { server, _, executor in
            let configuration = PostgresStoreConfiguration(callTimeout: .seconds(3))
            try await expectNoOperationIsRepeatedOrLost(
                in: PostgresStore(executor: executor, configuration: configuration), kill: server.kill,
                restart: server.restart)
        }
    }

    @Test("Waiters are woken by what another process does, also after the server was killed")
    func notifications() async throws {
        try await withServer { server, _, executor in
            try await withClient(port: server.port) { client in
                let (first, second) = (
                    PostgresStore(executor: executor), PostgresStore(executor: PostgresNIOExecutor(client: client))
                )
                for round in 1...2 {
                    let request = ClaimRequest(key: try .named("k-\(round)"))
                    try await eventually("The server is used") {
                        _ = try await first.claim(ClaimRequest(key: try .named("warm-\(round)")))
                        return true
                    }
                    guard case .granted(let claim) = try await first.claim(request) else {
                        Issue.record("The key should be free")
                        return
                    }
                    var hints = second.changes(of: request.key).makeAsyncIterator()
                    #expect(await hints.next(isolation: #isolation) != nil)
                    try await eventually("The waiter is noted") {
                        if case .inProgress = try await second.claim(ClaimRequest(key: request.key)) { return true }
                        return false
                    }
                    #expect(try await first.complete(claim, with: .charged, keyTTL: .seconds(60)))
                    #expect(await hints.next(isolation: #isolation) != nil)
                    guard round == 1 else { break }
                    try await server.kill()
                    try await server.restart()
                }
            }
        }
    }
}
