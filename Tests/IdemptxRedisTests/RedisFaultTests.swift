import HTTPTypes
import Idemptx
import IdemptxRedis
import IdemptxTesting
import RESP3
import RedisServerTesting
import StoreTestSupport
import Synchronization
import TestSupport
import Testing

@Suite("Faults of Redis, or of the way to it", .timeLimit(.minutes(3)))
struct RedisFaultTests {
    private let brisk = RedisConnectionConfiguration(commandTimeout: .seconds(3))

    @Test("A lost reply is an unknown outcome, and the call can be repeated")
    func lostReplies() async throws {
        try await RedisServer.with { server in
            try await TCPProxy.with(port: server.port) { proxy in
                let store = try RedisStore(url: "redis://127.0.0.1:\(await proxy.port)")
                let request = ClaimRequest(key: try .named("k-1"))
                // So that the server knows the scripts: an unknown one is sent again, over a new connection.
                guard case .granted(let warm) = try await store.claim(ClaimRequest(key: try .named("k-0"))) else {
                    Issue.record("The key should be free")
                    return
                }
                _ = try await (
                    store.renew(warm, lease: .seconds(1)), store.complete(warm, with: .charged, keyTTL: .seconds(1))
                )
                _ = try await store.release(warm)

                await proxy.cutBeforeNextReply()
                #expect(await store.claimed(request) == "replyLost")
                guard case .granted(let claim) = try await store.claim(request) else {
                    Issue.record("A claim whose reply was lost belongs to its owner")
                    return
                }
                #expect(claim.attempt == 1)

                await proxy.cutBeforeNextReply()
                #expect(await storeError { _ = try await store.renew(claim, lease: .seconds(9)) }?.code == .replyLost)
                #expect(try await store.renew(claim, lease: .seconds(9)))

                await proxy.cutBeforeNextReply()
                #expect(
                    await storeError { _ = try await store.complete(claim, with: .charged, keyTTL: .seconds(9)) }?.code
                        == .replyLost)
                #expect(try await store.complete(claim, with: .charged, keyTTL: .seconds(9)))
                #expect(await store.claimed(ClaimRequest(key: request.key)) == "replay")

                let other = ClaimRequest(key: try .named("k-2"))
                guard case .granted(let released) = try await store.claim(other) else {
                    Issue.record("The key should be free")
                    return
                }
                await proxy.cutBeforeNextReply()
                #expect(await storeError { _ = try await store.release(released) }?.code == .replyLost)
                #expect(try await !store.release(released))
                #expect(await store.claimed(ClaimRequest(key: other.key)) == "attempt 1")
            }
        }
    }

    @Test("An engine survives lost replies at every call")
    func engineWithLostReplies() async throws {
        try await RedisServer.with { server in
            try await TCPProxy.with(port: server.port) { proxy in
                let store = try RedisStore(url: "redis://127.0.0.1:\(await proxy.port)")
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

    @Test("A server that is killed refuses for a bounded time; back, it works again with all that it had")
    func killed() async throws {
        var options = RedisServerOptions()
        options.isDurable = true
        try await RedisServer.with(options) { server in
            try await expectNoOperationIsRepeatedOrLost(
                in: RedisStore(url: server.url(), connection: self.brisk), kill: server.kill, restart: server.restart)
        }
    }

    @Test("A server that is halted for longer than a deadline leaves outcomes unknown, and no key locked")
    func halted() async throws {
        try await RedisServer.with { server in
            let store = try RedisStore(url: server.url(), connection: self.brisk)
            let request = ClaimRequest(key: try .named("k-1"))
            #expect(await store.claimed(ClaimRequest(key: try .named("k-0"))) == "attempt 1")
            server.pause()
            #expect(await store.claimed(request) == "replyLost")
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
            guard case .granted(let claim) = try await store.claim(request),
                case .granted(let other) = try await store.claim(ClaimRequest(key: try .named("k-2")))
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
            #expect(try await store.record(for: request.key)?.outcome == large)
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

    /// How often the server has run a command.
    private func calls(_ command: String, of server: RedisServer) async throws -> Int {
        let text = try await server.send(["INFO", "commandstats"]).string ?? ""
        let line = text.split(separator: "\r\n").first { $0.hasPrefix("cmdstat_\(command):calls=") }
        return line.flatMap { Int($0.drop { $0 != "=" }.dropFirst().prefix { $0.isNumber }) } ?? 0
    }

    @Test(
        "Claims that a halted server gets to when their callers have gone leave no outcome unknown under refuse",
        arguments: [UnknownOutcomeRule.Kind.refuse, .recover])
    func ghostClaims(rule: UnknownOutcomeRule.Kind) async throws {
        try await RedisServer.with { server in
            let store = try RedisStore(
                url: server.url(), connection: RedisConnectionConfiguration(commandTimeout: .seconds(5)))
            // The server knows the script then, and has told its time.
            #expect(await store.claimed(ClaimRequest(key: try .named("warm"), onAbandoned: rule)) == "attempt 1")
            let before = try await self.calls("evalsha", of: server)
            let requests = try (0..<20).map {
                ClaimRequest(key: try .named("k-\($0)"), onAbandoned: rule, timeout: .seconds(1))
            }
            server.pause()
            await withTaskGroup(of: Void.self) { group in
                for request in requests {
                    group.addTask { #expect(await store.claimed(request) == "replyLost") }
                }
            }
            server.resume()
            try await eventually("the late claims are executed") {
                try await self.calls("evalsha", of: server) >= before + requests.count
            }
            for request in requests { #expect(try await store.record(for: request.key) == nil) }
            #expect(try await server.send(["ZCARD", "idemptx:unsettled"]) == .integer(1))
            for request in requests { #expect(await store.claimed(request) == "attempt 1") }
        }
    }

    @Test(
        "A claim whose timeout is over before the server gets to it is refused, however long the timeout of the connection"
    )
    func tooLate() async throws {
        try await RedisServer.with { server in
            let store = try RedisStore(url: server.url(), connection: self.brisk)
            #expect(await store.claimed(ClaimRequest(key: try .named("warm"), onAbandoned: .refuse)) == "attempt 1")
            let late = ClaimRequest(key: try .named("k-1"), onAbandoned: .refuse, timeout: .zero)
            #expect(await store.claimed(late) == "unavailable")
            #expect(try await store.record(for: late.key) == nil)
        }
    }

    @Test("Under refuse an unknown outcome is kept beyond its keyTTL, and found without a search")
    func unknownOutcomesStay() async throws {
        try await RedisServer.with { server in
            let store = try RedisStore(url: server.url())
            for number in 0..<50 {
                #expect(await store.claimed(ClaimRequest(key: try .named("other-\(number)"))) == "attempt 1")
            }
            let request = ClaimRequest(
                key: try .named("k-1"), lease: .milliseconds(50), keyTTL: .milliseconds(100), onAbandoned: .refuse)
            #expect(await store.claimed(request) == "attempt 1")
            try await eventually("the lease is over") { try await store.unknownCount() == 1 }
            let retry = ClaimRequest(
                key: request.key, lease: .seconds(60), keyTTL: .milliseconds(100), onAbandoned: .refuse)
            #expect(await store.claimed(retry) == "unknown")
            let page = try await store.records(in: .unknown, after: nil, limit: 10)
            #expect(page.records.map(\.key) == [request.key] && page.next == nil)
            #expect(try await self.calls("scan", of: server) == 0)
            let expires = try await store.record(for: request.key)?.header?.expires
            #expect(expires == .distantFuture)

            #expect(try await store.release(request.key, force: false, reason: "test") == .done)
            #expect(try await store.unknownCount() == 0)
            #expect(await store.claimed(ClaimRequest(key: request.key, onAbandoned: .refuse)) == "attempt 2")
        }
    }

    @Test("A server that is halted does not hold up requests that are only observed")
    func observing() async throws {
        try await RedisServer.with { server in
            // No timeout ends a wait before the test ends.
            let connection = RedisConnectionConfiguration(commandTimeout: .seconds(600))
            let store = FaultyStore(try RedisStore(url: server.url(), connection: connection))
            let policy = IdempotencyPolicy {
                $0.mode = .observe
                $0.claimTimeout = .seconds(600)
            }
            let idempotency = Idempotency(store: store, policy: policy)
            let ledger = Ledger()
            #expect(try await idempotency.run("charge", key: "k-0") { _ in ledger.add() } == 1)
            try await eventually { store.count(of: .complete) == 1 }
            server.pause()
            for number in 1...50 {
                #expect(try await idempotency.run("charge", key: "k-\(number)") { _ in ledger.add() } == number + 1)
            }
            // They are recorded as soon as the server goes on.
            try await eventually { store.count(of: .claim) == 51 }
            server.resume()
            try await eventually { store.count(of: .complete) == 51 }
        }
    }

    @Test("A server that is halted costs one deadline, not one per request, where operations may run without it")
    func bypassing() async throws {
        try await RedisServer.with { server in
            let connection = RedisConnectionConfiguration(commandTimeout: .seconds(600))
            let store = FaultyStore(try RedisStore(url: server.url(), connection: connection))
            let idempotency = Idempotency(
                store: store,
                policy: IdempotencyPolicy {
                    $0.onStoreFailure = .bypass
                    $0.claimTimeout = .milliseconds(200)
                    $0.claimRetryTime = .zero
                })
            let ledger = Ledger()
            #expect(try await idempotency.run("charge", key: "k-0") { _ in ledger.add() } == 1)
            server.pause()
            for number in 1...100 {
                #expect(try await idempotency.run("charge", key: "k-\(number)") { _ in ledger.add() } == number + 1)
            }
            // One at a time asks whether the server is back, once in a second; all others do not wait.
            #expect(store.count(of: .claim) < 50)
            server.resume()
            // From then on it guards again.
            try await eventually {
                let key = "k-\(ledger.count + 1_000)"
                let entry = try await idempotency.run("charge", key: key) { _ in ledger.add() }
                return try await idempotency.run("charge", key: key) { _ in ledger.add() } == entry
            }
        }
    }

    @Test("An operation does not start under a lease that was over when a halted server granted it")
    func lateGrant() async throws {
        try await RedisServer.with { server in
            let connection = RedisConnectionConfiguration(commandTimeout: .seconds(600))
            let store = FaultyStore(try RedisStore(url: server.url(), connection: connection))
            let idempotency = Idempotency(
                store: store,
                policy: IdempotencyPolicy {
                    $0.lease = .seconds(3)
                    $0.claimTimeout = .seconds(600)
                })
            _ = try await idempotency.run("charge", key: "k-0") { _ in true }
            // No renewal makes the late claim good.
            store.breakDown(at: .renew)
            server.pause()
            let running = Task { try await idempotency.run("charge", key: "k-1") { $0.isLeaseHeld } }
            try await eventually { store.count(of: .claim) == 2 }
            try await Task.sleep(for: .milliseconds(3_500))
            server.resume()
            #expect(try await running.value)
            // The second was made with the same token: it did not have to wait for the first.
            #expect(store.count(of: .claim) == 3)
        }
    }

    @Test("Hundreds of concurrent retries of a key with a large response do not make other calls late")
    func largeReplays() async throws {
        try await RedisServer.with { server in
            let store = try RedisStore(
                url: server.url(), connection: RedisConnectionConfiguration(commandTimeout: .seconds(20)))
            let body = [UInt8](repeating: 7, count: 1 << 20)
            let large = Outcome.response(StoredResponse(status: .ok, body: body))
            let request = ClaimRequest(key: try .named("large"))
            guard case .granted(let claim) = try await store.claim(request) else {
                Issue.record("The key should be free")
                return
            }
            #expect(try await store.complete(claim, with: large, keyTTL: .seconds(60)))
            #expect(try await server.send(["STRLEN", RedisArgument("idemptx:\(request.key)")]) == .integer(100))
            let small = try RedisStore(
                url: server.url(), connection: RedisConnectionConfiguration(commandTimeout: .seconds(2)))
            let isOver = Mutex(false)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { @Sendable in
                    try await withThrowingTaskGroup(of: Void.self) { retries in
                        for _ in 0..<400 {
                            retries.addTask {
                                let result = await store.claimed(ClaimRequest(key: request.key))
                                #expect(result == "another replay")
                            }
                        }
                        try await retries.waitForAll()
                    }
                    isOver.withLock { $0 = true }
                }
                var number = 0
                repeat {
                    number += 1
                    let request = ClaimRequest(key: try .named("small-\(number)"), timeout: .milliseconds(500))
                    #expect(await store.claimed(request) == "attempt 1")
                    #expect(await small.claimed(ClaimRequest(key: try .named("tiny-\(number)"))) == "attempt 1")
                } while !isOver.withLock { $0 }
                try await group.waitForAll()
            }
            #expect(try await store.remove(request.key, reason: "a test"))
            #expect(try await store.record(for: request.key) == nil)
        }
    }
}
