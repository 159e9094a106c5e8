import HTTPTypes
import Idemptx
import IdemptxRedis
import IdemptxTesting
import RESP3
import RedisServerTesting
import TestSupport
import Testing

@Suite("Faults of Redis, or of the way to it", .timeLimit(.minutes(3)))
struct RedisFaultTests {
    private let brisk = RedisConnectionConfiguration(commandTimeout: .seconds(3))

    private func error(_ call: () async throws -> some Any) async -> StoreError.Code? {
        do {
            _ = try await call()
            return nil
        } catch {
            return (error as? StoreError)?.code
        }
    }

    @Test("A lost reply is an unknown outcome, and the call can be repeated")
    func lostReplies() async throws {
        try await RedisServer.with { server in
            try await TCPProxy.with(port: server.port) { link in
                let store = try RedisStore(url: "redis://127.0.0.1:\(await link.port)")
                let request = ClaimRequest(key: try .named("k-1"))
                // So that the server knows the scripts: an unknown one is sent again, over a new connection.
                guard case .execute(let warm) = try await store.claim(ClaimRequest(key: try .named("k-0"))) else {
                    Issue.record("The key should be free")
                    return
                }
                _ = try await (
                    store.renew(warm, lease: .seconds(1)), store.complete(warm, with: .charged, keyTTL: .seconds(1))
                )
                _ = try await store.release(warm)

                await link.cutBeforeNextReply()
                #expect(await store.claimed(request) == "outcomeUnknown")
                guard case .execute(let claim) = try await store.claim(request) else {
                    Issue.record("A claim whose reply was lost belongs to its owner")
                    return
                }
                #expect(claim.attempt == 1)

                await link.cutBeforeNextReply()
                #expect(await self.error { try await store.renew(claim, lease: .seconds(9)) } == .outcomeUnknown)
                #expect(try await store.renew(claim, lease: .seconds(9)))

                await link.cutBeforeNextReply()
                #expect(
                    await self.error { try await store.complete(claim, with: .charged, keyTTL: .seconds(9)) }
                        == .outcomeUnknown)
                #expect(try await store.complete(claim, with: .charged, keyTTL: .seconds(9)))
                #expect(await store.claimed(ClaimRequest(key: request.key)) == "replay")

                let other = ClaimRequest(key: try .named("k-2"))
                guard case .execute(let released) = try await store.claim(other) else {
                    Issue.record("The key should be free")
                    return
                }
                await link.cutBeforeNextReply()
                #expect(await self.error { try await store.release(released) } == .outcomeUnknown)
                #expect(try await !store.release(released))
                #expect(await store.claimed(ClaimRequest(key: other.key)) == "attempt 1")
            }
        }
    }

    @Test("A runner survives lost replies at every call")
    func runnerWithLostReplies() async throws {
        try await RedisServer.with { server in
            try await TCPProxy.with(port: server.port) { link in
                let store = try RedisStore(url: "redis://127.0.0.1:\(await link.port)")
                let idempotency = Idempotency(store: store)
                let ledger = Ledger()
                for number in 0..<20 {
                    if number.isMultiple(of: 2) { await link.cutBeforeNextReply() }
                    let entry = try await idempotency.run(key: "k-\(number)") { _ in
                        await link.cutBeforeNextReply()
                        return ledger.add()
                    }
                    #expect(try await idempotency.run(key: "k-\(number)") { _ in ledger.add() } == entry)
                }
                #expect(ledger.count == 20)
            }
        }
    }

    @Test("A server that is killed refuses for a bounded time; back, it works again with all that it had")
    func killed() async throws {
        var options = RedisServerOptions()
        options.isDurable = true
        try await RedisServer.with(options) { server in
            let store = try RedisStore(url: server.url(), connection: self.brisk)
            let idempotency = Idempotency(store: store, policy: IdempotencyPolicy { $0.claimRetryTime = .zero })
            let ledger = Ledger()
            #expect(try await idempotency.run(key: "k-1") { _ in ledger.add() } == 1)
            try await server.kill()
            for _ in 0..<3 {
                await #expect(throws: IdempotencyProblem.self) {
                    _ = try await idempotency.run(key: "k-2") { _ in ledger.add() }
                }
            }
            #expect(ledger.count == 1)
            try await server.restart()
            try await eventually("The server is used again") {
                try await idempotency.run(key: "k-1") { _ in ledger.add() } == 1
            }
            #expect(try await idempotency.run(key: "k-2") { _ in ledger.add() } == 2)
        }
    }

    @Test("A server that is halted for longer than a deadline leaves outcomes unknown, and no key locked")
    func halted() async throws {
        try await RedisServer.with { server in
            let store = try RedisStore(url: server.url(), connection: self.brisk)
            let request = ClaimRequest(key: try .named("k-1"))
            #expect(await store.claimed(ClaimRequest(key: try .named("k-0"))) == "attempt 1")
            server.pause()
            #expect(await store.claimed(request) == "outcomeUnknown")
            server.resume()
            // What was sent may have run by now: it is this owner's.
            try await eventually("The server is used again") { await store.claimed(request) == "attempt 1" }
            #expect(await store.claimed(ClaimRequest(key: request.key)) == "in progress")
        }
    }

    @Test(
        "When memory is full, a claim is refused and leaves nothing; who runs can renew, and store its outcome",
        arguments: RedisBinary.all)
    func outOfMemory(binary: RedisBinary) async throws {
        try await RedisServer.with(RedisServerOptions(binary)) { server in
            let store = try RedisStore(url: server.url())
            let request = ClaimRequest(key: try .named("k-1"))
            guard case .execute(let claim) = try await store.claim(request),
                case .execute(let other) = try await store.claim(ClaimRequest(key: try .named("k-2")))
            else {
                Issue.record("The keys should be free")
                return
            }
            try await server.send(["CONFIG", "SET", "maxmemory", 1])
            let late = ClaimRequest(key: try .named("k-3"))
            #expect(await store.claimed(late) == "unavailable")
            #expect(try await store.record(for: late.key) == nil)

            #expect(try await store.renew(claim, lease: .seconds(60)))
            let large = Outcome.response(StoredResponse(status: .ok, body: Array(repeating: 7, count: 100_000)))
            #expect(try await store.complete(claim, with: large, keyTTL: .seconds(60)))
            #expect(try await store.record(for: request.key)?.record.state == .completed(large))
            #expect(try await store.release(other))
            #expect(await store.claimed(ClaimRequest(key: request.key)) == "another replay")
        }
    }

    @Test("A server in the middle of loading its data is unavailable, and then used")
    func loading() async throws {
        var options = RedisServerOptions()
        // Slow, and with an ear for clients after each key.
        options.lines = [
            "enable-debug-command yes", "rdbcompression no", "key-load-delay 50000",
            "loading-process-events-interval-bytes 1024",
        ]
        try await RedisServer.with(options) { server in
            let value = RedisArgument(String(repeating: "x", count: 2048))
            for number in 0..<40 { try await server.send(["SET", "ballast-\(number)", value]) }
            let store = try RedisStore(url: server.url())
            let request = ClaimRequest(key: try .named("k-1"))
            #expect(await store.claimed(request) == "attempt 1")
            async let reloaded = server.send(["DEBUG", "RELOAD"])
            try await eventually("The server loads its data") {
                do {
                    _ = try await store.claim(request)
                    return false
                } catch let error as StoreError {
                    #expect(error.code == .unavailable)
                    return error.message == "Redis refused a command for now: LOADING."
                }
            }
            #expect(try await reloaded.string == "OK")
            #expect(await store.claimed(request) == "attempt 1")
        }
    }

    @Test("A server that is not there is unavailable")
    func absent() async throws {
        let store = try RedisStore(url: "redis://127.0.0.1:1", connection: self.brisk)
        #expect(await store.claimed(ClaimRequest(key: try .named("k-1"))) == "unavailable")
        let error = await #expect(throws: StoreError.self) { try await store.verify() }
        #expect(error?.code == .unavailable)
    }
}
