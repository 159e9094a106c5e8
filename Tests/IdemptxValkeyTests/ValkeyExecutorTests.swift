import Idemptx
import IdemptxRedis
import IdemptxTesting
import IdemptxValkey
import Logging
import RedisServerTesting
import StoreTestSupport
import TestSupport
import Testing
import Valkey

@Suite("The Redis store over valkey-swift", .serialized, .timeLimit(.minutes(10)))
struct ValkeyExecutorTests {
    /// A client and an executor that run while `body` runs.
    private func withExecutor(
        port: Int, timeout: Duration = .seconds(20), _ body: (ValkeyExecutor) async throws -> Void
    ) async throws {
        var configuration = ValkeyClientConfiguration(commandTimeout: timeout)
        configuration.connectionPool.circuitBreakerTripAfter = .seconds(2)
        // A call has a connection for itself.
        configuration.connectionPool.maximumConnectionSoftLimit = 40
        configuration.connectionPool.maximumConnectionHardLimit = 40
        let client = ValkeyClient(
            .hostname("127.0.0.1", port: port), configuration: configuration, logger: Logger(label: "test"))
        let executor = ValkeyExecutor(client: client)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await client.run() }
            group.addTask { await executor.run() }
            defer { group.cancelAll() }
            try await body(executor)
        }
    }

    private func code(_ call: () async throws -> Void) async -> StoreError.Code? {
        do {
            try await call()
            return nil
        } catch {
            return (error as? StoreError)?.code
        }
    }

    @Test("keeps the laws of a store", arguments: RedisBinary.all)
    func laws(binary: RedisBinary) async throws {
        try await RedisServer.with(RedisServerOptions(binary)) { server in
            try await self.withExecutor(port: server.port) { executor in
                try await StoreConformance(pace: .realTime(unit: .milliseconds(600))) { _ in
                    RedisStore(executor: executor)
                }.runAll()
            }
        }
    }

    @Test("takes replies as they are")
    func replies() async throws {
        try await RedisServer.with { server in
            try await self.withExecutor(port: server.port) { executor in
                let bytes = Array(UInt8.min...UInt8.max)
                let set = RedisCommand([Array("SET".utf8), bytes, bytes])
                let get = RedisCommand([Array("GET".utf8), bytes])
                let replies = try await executor.execute(
                    [
                        set, get, RedisCommand("GET", "none"), RedisCommand("INCR", "n"), RedisCommand("INCR"),
                        RedisCommand("MGET", "n", "none"),
                    ], key: bytes)
                #expect(replies.count == 6)
                #expect(replies.first == .bytes(Array("OK".utf8)))
                #expect(replies[1...3] == [.bytes(bytes), .null, .integer(1)])
                guard case .error(let message) = replies[4] else {
                    Issue.record("A refusal is among the replies")
                    return
                }
                #expect(message.hasPrefix("ERR "))
                #expect(replies[5] == .array([.bytes(Array("1".utf8)), .null]))
            }
        }
    }

    @Test("An engine survives lost replies at every call")
    func engineWithLostReplies() async throws {
        try await RedisServer.with { server in
            try await TCPProxy.with(port: server.port) { proxy in
                try await self.withExecutor(port: await proxy.port) { executor in
                    let idempotency = Idempotency(store: RedisStore(executor: executor))
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

    @Test("A server that is halted for longer than the timeout leaves the outcome unknown, and no key locked")
    func halted() async throws {
        try await RedisServer.with { server in
            try await self.withExecutor(port: server.port, timeout: .seconds(1)) { executor in
                let store = RedisStore(executor: executor)
                let request = ClaimRequest(key: try .named("k-1"))
                _ = try await store.claim(ClaimRequest(key: try .named("k-0")))
                server.pause()
                #expect(await self.code { _ = try await store.claim(request) } == .replyLost)
                server.resume()
                // What was sent may have run by now: it is this owner's.
                try await eventually("The server is used again") {
                    if case .granted(let claim) = try await store.claim(request) { return claim.attempt == 1 }
                    return false
                }
            }
        }
    }

    @Test("A server that is not there is unavailable, and nothing was sent")
    func absent() async throws {
        try await self.withExecutor(port: 1) { executor in
            #expect(
                await self.code { _ = try await executor.execute([RedisCommand("PING")], key: nil) } == .unavailable)
        }
    }

    @Test("A server that is killed refuses for a bounded time; back, it works again with all that it had")
    func killed() async throws {
        var options = RedisServerOptions()
        options.isDurable = true
        try await RedisServer.with(options) { server in
            try await self.withExecutor(port: server.port) { executor in
                try await expectNoOperationIsRepeatedOrLost(
                    in: RedisStore(executor: executor), kill: server.kill, restart: server.restart)
            }
        }
    }

    @Test("Waiters are woken by what another process does, also after the server was killed")
    func notifications() async throws {
        var options = RedisServerOptions()
        options.isDurable = true
        try await RedisServer.with(options) { server in
            let other = try RedisStore(url: server.url())
            try await self.withExecutor(port: server.port) { executor in
                let store = RedisStore(executor: executor)
                for round in 1...2 {
                    let request = ClaimRequest(key: try .named("k-\(round)"))
                    try await eventually("The server is used") {
                        _ = try await other.claim(ClaimRequest(key: try .named("warm-\(round)")))
                        return true
                    }
                    guard case .granted(let claim) = try await other.claim(request) else {
                        Issue.record("The key should be free")
                        return
                    }
                    var changes = store.changes(of: request.key).makeAsyncIterator()
                    try await eventually("A subscription stands") {
                        if await changes.next(isolation: #isolation) != nil { return true }
                        changes = store.changes(of: request.key).makeAsyncIterator()
                        return false
                    }
                    #expect(try await other.complete(claim, with: .charged, keyTTL: .seconds(60)))
                    #expect(await changes.next(isolation: #isolation) != nil)
                    guard round == 1 else { break }
                    try await server.kill()
                    try await server.restart()
                }
            }
        }
    }
}
