import HTTPTypes
import Idemptx
import IdemptxTesting
import RESP3
import RedisServerTesting
import StoreTestSupport
import Synchronization
import TestSupport
import Testing

// For the executor that the store brings, whose round trips are counted.
@testable import IdemptxRedis

@Suite("The Redis store", .timeLimit(.minutes(3)))
struct RedisStoreTests {
    /// Counts how often something is sent.
    private final class CountingExecutor: RedisExecutor {
        private let executor: any RedisExecutor
        private let sent = Mutex(0)

        init(url: String) throws {
            let client = try RedisConfiguration(RedisEndpoint(url: url)).makeClient()
            self.executor = RESP3Executor(client: client, isCluster: false)
        }

        var count: Int { self.sent.withLock { $0 } }

        func execute(_ commands: [IdemptxRedis.RedisCommand], key: [UInt8]?) async throws -> [RedisReply] {
            self.sent.withLock { $0 += 1 }
            return try await self.executor.execute(commands, key: key)
        }

        func subscribe(to channel: String) -> AsyncStream<Void> { self.executor.subscribe(to: channel) }

        func publishCommand() async throws -> String { try await self.executor.publishCommand() }
    }

    @Test("takes two round trips for a first run, and one for a replay")
    func roundTrips() async throws {
        try await RedisServer.with { server in
            let executor = try CountingExecutor(url: server.url())
            let idempotency = Idempotency(store: RedisStore(executor: executor))
            let ledger = Ledger()
            @Sendable func charge(_ key: String) async throws -> Int {
                try await idempotency.run("charge", key: key) { _ in ledger.add() }
            }
            // The first use of a script sends it once more, whole.
            #expect(try await charge("k-0") == 1)
            let before = executor.count
            #expect(try await charge("k-1") == 2)
            #expect(executor.count == before + 2)
            #expect(try await charge("k-1") == 2)
            #expect(executor.count == before + 3)
        }
    }

    @Test("runs its scripts whatever the server has forgotten, in the middle of traffic")
    func scriptFlush() async throws {
        try await RedisServer.with { server in
            let store = try RedisStore(url: server.url())
            let idempotency = Idempotency(store: store)
            let ledger = Ledger()
            // The first use of a script does not count.
            try await idempotency.run("charge", key: "first") { _ in _ = ledger.add() }
            let unknown = try await server.errors("NOSCRIPT")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<8 {
                    group.addTask {
                        for number in 0..<100 {
                            for _ in 0..<2 {
                                try await idempotency.run("charge", key: "\(worker)-\(number)") { _ in _ = ledger.add()
                                }
                            }
                        }
                    }
                }
                group.addTask {
                    for _ in 0..<50 { try await server.send(["SCRIPT", "FLUSH"]) }
                }
                try await group.waitForAll()
            }
            #expect(ledger.count == 801)
            #expect(try await server.errors("NOSCRIPT") > unknown)
        }
    }

    @Test("wakes those who wait in another process, without a poll", arguments: RedisBinary.all)
    func wakesOthers(binary: RedisBinary) async throws {
        try await RedisServer.with(RedisServerOptions(binary)) { server in try await self.wakeOthers(server.url()) }
    }

    @Test("wakes those who wait in another process, by any server of a cluster", arguments: RedisBinary.all)
    func wakesOthersOfCluster(binary: RedisBinary) async throws {
        try await ClusterGroup.with(RedisServerOptions(binary)) { group in try await self.wakeOthers(group.url) }
    }

    private func wakeOthers(_ url: String) async throws {
        let (first, second) = (try RedisStore(url: url), try RedisStore(url: url))
        for (number, ending) in ["complete", "release", "unknown", "operator", "remove"].enumerated() {
            let key = try StorageKey.named("k-\(number)")
            guard case .granted(let claim) = try await first.claim(ClaimRequest(key: key)) else {
                Issue.record("The key should be free")
                continue
            }
            var hints = second.changes(of: key).makeAsyncIterator()
            #expect(await hints.next(isolation: #isolation) != nil, "The subscription stands")
            switch ending {
            case "complete": #expect(try await first.complete(claim, with: .charged, keyTTL: .seconds(60)))
            case "release": #expect(try await first.release(claim))
            case "unknown": #expect(try await first.renew(claim, lease: .zero))
            case "operator": #expect(try await first.release(key, force: true, reason: "test") == .done)
            default: #expect(try await first.remove(key, reason: "a test"))
            }
            #expect(await hints.next(isolation: #isolation) != nil, "\(ending) is hinted at")
        }
    }

    @Test("keeps its records apart from others under a prefix, and finds them by it")
    func prefix() async throws {
        try await RedisServer.with { server in
            let prefixes = ["idemptx:", "a*[?]\\^[\u{301}:"]
            let stores = try prefixes.map {
                try RedisStore(url: server.url(), configuration: RedisStoreConfiguration(keyPrefix: $0))
            }
            let request = ClaimRequest(key: try .named("k-1"))
            for store in stores { #expect(await store.claimed(request) == "attempt 1") }
            try await server.send(["SET", "idemptx:something else", "x"])
            for store in stores { #expect(try await store.statistics().total == 1) }
            let keys = try await server.send(["KEYS", "*"]).elements?.compactMap(\.string) ?? []
            #expect(Set(keys) == Set(prefixes.map { $0 + request.key.description } + ["idemptx:something else"]))
        }
    }

    @Test("gives every record its time to live, and restates it")
    func timeToLive() async throws {
        try await RedisServer.with { server in
            let store = try RedisStore(url: server.url())
            let key = try StorageKey.named("k-1")
            func timeToLive() async throws -> Int {
                try await server.send(["PTTL", RedisArgument("idemptx:\(key)")]).integer ?? 0
            }
            guard case .granted(let claim) = try await store.claim(ClaimRequest(key: key, keyTTL: .seconds(100))) else {
                Issue.record("The key should be free")
                return
            }
            #expect(try await (90_000...100_000).contains(timeToLive()))
            try await server.send(["PEXPIRE", RedisArgument("idemptx:\(key)"), 60_000])
            #expect(try await store.renew(claim, lease: .seconds(30)))
            #expect(try await (90_000...100_000).contains(timeToLive()))
            #expect(try await store.complete(claim, with: .charged, keyTTL: .seconds(500)))
            #expect(try await (490_000...500_000).contains(timeToLive()))
            // A lifetime beyond all bounds is one of a century, and no error.
            let longest = ClaimRequest(key: try .named("k-2"), lease: .seconds(Int64.max), keyTTL: .seconds(Int64.max))
            #expect(await store.claimed(longest) == "attempt 1")
        }
    }

    @Test(
        "takes a damaged record, or something else under its key, for an error, until it is removed",
        arguments: RedisBinary.all)
    func damage(binary: RedisBinary) async throws {
        try await RedisServer.with(RedisServerOptions(binary)) { server in
            let store = try RedisStore(url: server.url())
            let request = ClaimRequest(key: try .named("k-1"))
            let name = RedisArgument("idemptx:\(request.key)")
            guard case .granted(let claim) = try await store.claim(request) else {
                Issue.record("The key should be free")
                return
            }
            #expect(await store.claimed(ClaimRequest(key: try .named("k-2"))) == "attempt 1")
            let damages: [[RESP3.RedisCommand]] = [
                [["SETRANGE", name, 45, "xyz"]], [["SETRANGE", name, 0, "\u{9}"]], [["SETRANGE", name, 1, "\u{7}"]],
                [["SET", name, "short"]], [["DEL", name], ["LPUSH", name, "x"]],
            ]
            for damage in damages {
                for command in damage { try await server.send(command) }
                #expect(await store.claimed(request) == "corruptRecord")
                let calls = [
                    { try await store.renew(claim, lease: .seconds(1)) }, { try await store.release(claim) },
                    { try await store.complete(claim, with: .charged, keyTTL: .seconds(60)) },
                    { try await store.release(request.key, force: true, reason: "test") == .done },
                ]
                for call in calls {
                    let error = await #expect(throws: StoreError.self) { try await call() }
                    #expect(error?.code == .corruptRecord)
                }
                // The others are listed and counted all the same.
                let records = try await store.records(in: nil, after: nil, limit: 10).records
                #expect(records.count == 2 && records.count { $0.header == nil && $0.key == request.key } == 1)
                let statistics = try await store.statistics()
                #expect(statistics.count(of: .unreadable) == 1 && statistics.count(of: .claimed) == 1)
            }
            #expect(try await store.remove(request.key, reason: "a test"))
            #expect(await store.claimed(request) == "attempt 1")
        }
    }

    // As RunningRedis.md has it.
    private static let payments =
        "payments on >p%word ~idemptx:* resetchannels &{idemptx:* +@all -@dangerous +info +role +cluster|slots"

    @Test("works with the names and passwords of its URL only", arguments: RedisBinary.all)
    func access(binary: RedisBinary) async throws {
        var options = RedisServerOptions(binary)
        options.password = "secret"
        options.users = [Self.payments, "reader on >reader ~* +get +hello"]
        try await RedisServer.with(options) { server in
            try await self.useAll(server.url("payments:p%25word@"))
            let request = ClaimRequest(key: try .named("k-1"))
            for user in ["", "payments:wrong@", "reader:reader@"] {
                #expect(try await RedisStore(url: server.url(user)).claimed(request) == "misconfigured")
            }
        }
    }

    @Test("works with the same permissions in a cluster", arguments: RedisBinary.all)
    func accessToCluster(binary: RedisBinary) async throws {
        var options = RedisServerOptions(binary)
        options.users = [Self.payments]
        try await ClusterGroup.with(options) { group in
            try await self.useAll(group.url.replacing("://", with: "://payments:p%25word@"))
        }
    }

    @Test("works with the same permissions behind sentinels")
    func accessBehindSentinels() async throws {
        var options = RedisServerOptions()
        options.users = [Self.payments]
        try await SentinelGroup.with(options, replicas: 0) { group in
            try await self.useAll(group.url.replacing("://", with: "://payments:p%25word@"))
        }
    }

    /// Does all that a store can do, as far as permissions matter.
    private func useAll(_ url: String) async throws {
        let store = try RedisStore(url: url)
        try await store.verify()
        for number in 0..<8 {
            let key = try StorageKey.named("k-\(number)")
            guard case .granted(let claim) = try await store.claim(ClaimRequest(key: key)) else {
                Issue.record("The key should be free")
                return
            }
            var hints = store.changes(of: key).makeAsyncIterator()
            #expect(await hints.next(isolation: #isolation) != nil)
            #expect(try await store.renew(claim, lease: .seconds(60)))
            #expect(try await store.complete(claim, with: .charged, keyTTL: .seconds(60)))
            #expect(await hints.next(isolation: #isolation) != nil)
            #expect(try await store.record(for: key)?.outcome == .charged)
        }
        #expect(try await store.statistics().count(of: .completed) == 8)
        #expect(try await store.remove(.named("k-0"), reason: "a test"))
    }

    @Test("keeps a record for no time when no time is asked for", arguments: RedisBinary.all)
    func noTime(binary: RedisBinary) async throws {
        try await RedisServer.with(RedisServerOptions(binary)) { server in
            let store = try RedisStore(url: server.url())
            let fleeting = ClaimRequest(key: try .named("k-1"), lease: .zero, keyTTL: .zero)
            #expect(await store.claimed(fleeting) == "attempt 1")

            let request = ClaimRequest(key: try .named("k-2"), lease: .seconds(60), keyTTL: .zero)
            guard case .granted(let claim) = try await store.claim(request) else {
                Issue.record("The key should be free")
                return
            }
            #expect(try await store.renew(claim, lease: .zero))
            for key in [fleeting.key, request.key] {
                try await eventually("the record is gone") {
                    let timeToLive = try await server.send(["PTTL", RedisArgument("idemptx:\(key)")]).integer
                    #expect(timeToLive != -1, "It would stay for ever")
                    return timeToLive != 0 && timeToLive != 1
                }
            }
            #expect(try await server.send(["DBSIZE"]) == .integer(0))
        }
    }

    @Test("refuses an outcome that is too large to be sent, and keeps its tombstone")
    func tooLarge() async throws {
        try await RedisServer.with { server in
            let store = try RedisStore(
                url: server.url(), connection: RedisConnectionConfiguration(commandTimeout: .seconds(20)))
            let request = ClaimRequest(key: try .named("k-1"))
            guard case .granted(let claim) = try await store.claim(request) else {
                Issue.record("The key should be free")
                return
            }
            func outcome(mebibytes: Int) -> Outcome {
                .response(StoredResponse(status: .ok, body: Array(repeating: 7, count: mebibytes << 20)))
            }
            let error = await #expect(throws: StoreError.self) {
                try await store.complete(claim, with: outcome(mebibytes: 65), keyTTL: .seconds(60))
            }
            #expect(error?.code == .recordTooLarge)
            let tombstone = Outcome.tombstone(Tombstone(status: 200))
            #expect(try await store.complete(claim, with: tombstone, keyTTL: .seconds(60)))
            #expect(try await store.record(for: request.key)?.outcome == tombstone)

            guard case .granted(let other) = try await store.claim(ClaimRequest(key: try .named("k-2"))) else {
                Issue.record("The key should be free")
                return
            }
            // The largest that is kept can also be replayed.
            #expect(try await store.complete(other, with: outcome(mebibytes: 31), keyTTL: .seconds(60)))
            #expect(await store.claimed(ClaimRequest(key: try .named("k-2"))) == "another replay")
        }
    }

    @Test(
        "refuses a URL in a sentence, without the password in it",
        arguments: ["redis:/x", "http://a:hunter2@b", "redis://a:hunter2@b:x", "rediss://a?tls_ca=/missing"])
    func badURL(url: String) {
        let error = #expect(throws: StoreError.self) { try RedisStore(url: url) }
        #expect(error?.code == .misconfigured)
        #expect(error?.message.contains("hunter2") == false)
        #expect(error?.message.hasSuffix(".") == true)
    }
}
