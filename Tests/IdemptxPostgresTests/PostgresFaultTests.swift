import Foundation
import HTTPTypes
import Idemptx
import IdemptxTesting
import LibPQ
import PostgresServerTesting
import StoreTestSupport
import TestSupport
import Testing

// For the executor that the store brings, in whose way faults are put.
@testable import IdemptxPostgres

@Suite("Faults of PostgreSQL, or of the way to it", .timeLimit(.minutes(10)))
struct PostgresFaultTests {
    private let brisk = PostgresStoreConfiguration(callTimeout: .seconds(3))

    // MARK: The way

    @Test("A lost reply is an unknown outcome, and the call can be repeated")
    func lostReplies() async throws {
        try await PostgresServer.with { server in
            _ = try await server.makeStore()
            try await TCPProxy.with(port: server.port) { proxy in
                let store = try PostgresStore(
                    url: "host=127.0.0.1 port=\(await proxy.port) user=postgres dbname=postgres",
                    connection: PostgresConnectionConfiguration(connections: 1, listens: false))
                // So that it is connected, and knows the server's time.
                #expect(await store.claimed(ClaimRequest(key: try .named("k-0"))) == "attempt 1")

                let request = ClaimRequest(key: try .named("k-1"))
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

    @Test("A server that is not there is unavailable")
    func absent() async throws {
        let store = try PostgresStore(url: "postgres://127.0.0.1:1/orders", configuration: self.brisk)
        #expect(await store.claimed(ClaimRequest(key: try .named("k-1"))) == "unavailable")
        #expect(await storeError { _ = try await store.verify() }?.code == .unavailable)
    }

    // MARK: The server

    @Test("A server that is killed refuses for a bounded time; back, it works again with all that it had")
    func killed() async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore(configuration: self.brisk)
            let request = ClaimRequest(key: try .named("k-0"), lease: .seconds(3600))
            #expect(await store.claimed(request) == "attempt 1")
            try await expectNoOperationIsRepeatedOrLost(in: store, kill: server.kill, restart: server.restart)
            #expect(await store.claimed(ClaimRequest(key: request.key)) == "in progress")
        }
    }

    @Test("Waiters are woken again once a server that was killed is back")
    func listensAgain() async throws {
        try await PostgresServer.with { server in
            let (first, second) = (try await server.makeStore(), try await server.makeStore())
            let request = ClaimRequest(key: try .named("k-1"), lease: .seconds(3600))
            guard case .granted(let claim) = try await first.claim(request) else {
                Issue.record("The key should be free")
                return
            }
            var hints = second.changes(of: request.key).makeAsyncIterator()
            #expect(await hints.next(isolation: #isolation) != nil)
            try await server.kill()
            try await server.restart()
            // From here on nothing is missed.
            #expect(await hints.next(isolation: #isolation) != nil)
            try await eventually("The server is used again") {
                await second.claimed(ClaimRequest(key: request.key)) == "in progress"
            }
            try await eventually("The first client uses it again") {
                try await first.complete(claim, with: .charged, keyTTL: .seconds(60))
            }
            #expect(await hints.next(isolation: #isolation) != nil)
        }
    }

    @Test(
        "Claims that a halted server gets to when their callers have gone are not granted, and leave no outcome unknown",
        arguments: UnknownOutcomeRule.Kind.allCases)
    func ghostClaims(rule: UnknownOutcomeRule.Kind) async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore()
            #expect(await store.claimed(ClaimRequest(key: try .named("warm"), onAbandoned: rule)) == "attempt 1")
            let requests = try (0..<20).map {
                ClaimRequest(key: try .named("k-\($0)"), onAbandoned: rule, timeout: .milliseconds(500))
            }
            server.pause()
            await withTaskGroup(of: Void.self) { group in
                for request in requests {
                    group.addTask { #expect(["replyLost", "unavailable"].contains(await store.claimed(request))) }
                }
            }
            server.resume()
            // Whatever was sent has run, once its connections are idle or gone.
            try await eventually("the late claims are over") {
                try await server.number(
                    """
                    SELECT count(*) FROM pg_stat_activity
                    WHERE application_name = 'idemptx' AND state IS DISTINCT FROM 'idle'
                    """) == 0
            }
            for request in requests { #expect(try await store.record(for: request.key) == nil) }
            for request in requests {
                #expect(await store.claimed(ClaimRequest(key: request.key, onAbandoned: rule)) == "attempt 1")
            }
        }
    }

    @Test("A server that takes no writes replays, and refuses everything else for now")
    func readOnly() async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore()
            let request = ClaimRequest(key: try .named("k-1"))
            guard case .granted(let claim) = try await store.claim(request),
                case .granted(let other) = try await store.claim(ClaimRequest(key: try .named("k-2")))
            else {
                Issue.record("The keys should be free")
                return
            }
            #expect(try await store.complete(claim, with: .charged, keyTTL: .seconds(60)))
            try await server.query("ALTER SYSTEM SET default_transaction_read_only = on")
            try await server.query("SELECT pg_reload_conf()")
            try await eventually("the setting is read") {
                // A new key each time: claiming one that is held writes nothing.
                let key = try StorageKey.named("k-\(UInt64.random(in: 3...UInt64.max))")
                return await store.claimed(ClaimRequest(key: key)) == "unavailable"
            }
            #expect(
                await storeError { _ = try await store.complete(other, with: .charged, keyTTL: .seconds(1)) }?.code
                    == .unavailable)
            #expect(await store.claimed(ClaimRequest(key: request.key)) == "replay")
            #expect(await store.claimed(ClaimRequest(key: other.key)) == "in progress")
        }
    }

    @Test("A standby replays what it has, and refuses everything else for now")
    func standby() async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore()
            let request = ClaimRequest(key: try .named("k-1"))
            guard case .granted(let claim) = try await store.claim(request) else {
                Issue.record("The key should be free")
                return
            }
            #expect(try await store.complete(claim, with: .charged, keyTTL: .seconds(60)))
            try await server.withStandby { standby in
                let replica = try PostgresStore(url: standby.conninfo())
                try await eventually("the standby has it") {
                    await replica.claimed(ClaimRequest(key: request.key)) == "replay"
                }
                let error = await storeError { _ = try await replica.claim(ClaimRequest(key: try .named("k-2"))) }
                #expect(error?.code == .unavailable)
                #expect(error?.message.contains("standby") == true)
                #expect(await storeError { _ = try await replica.verify() }?.code == .unavailable)
            }
        }
    }

    @Test("A failover to a standby that lacks the last writes forgets them: a key that was claimed is granted again")
    func failover() async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore()
            let (kept, lost) = (try StorageKey.named("k-1"), try StorageKey.named("k-2"))
            #expect(await store.claimed(ClaimRequest(key: kept, lease: .seconds(3600))) == "attempt 1")
            try await server.withStandby { standby in
                let successor = try PostgresStore(
                    url: standby.conninfo(), configuration: PostgresStoreConfiguration(callTimeout: .seconds(60)))
                try await eventually("the standby has it") {
                    await successor.claimed(ClaimRequest(key: kept)) == "in progress"
                }
                // The way between the two is cut.
                try await standby.query("ALTER SYSTEM SET primary_conninfo = ''")
                try await standby.query("SELECT pg_reload_conf()")
                try await eventually("the standby receives no more") {
                    try await standby.number("SELECT count(*) FROM pg_stat_wal_receiver") == 0
                }
                #expect(await store.claimed(ClaimRequest(key: lost)) == "attempt 1")
                try await server.kill()
                try await standby.query("SELECT pg_promote()")
                #expect(await successor.claimed(ClaimRequest(key: kept)) == "in progress")
                #expect(
                    await successor.claimed(ClaimRequest(key: lost)) == "attempt 1", "What RunningPostgreSQL.md says")
            }
        }
    }

    // MARK: Conflicts

    @Test("A setting of the store ends with its call, also in a transaction of an application")
    func transactionSettings() async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore()
            let request = ClaimRequest(key: try .named("k-1"))
            guard case .granted(let claim) = try await store.claim(request) else {
                Issue.record("The key should be free")
                return
            }
            let statement = store.statements.complete(
                claim.key, owner: claim.owner, with: OutcomeColumns(.charged), keyTTL: .seconds(60),
                lockWait: .seconds(1))
            let client = try PostgresClient(PostgresConfiguration(server.conninfo()))
            try await client.withTransaction { transaction in
                try await transaction.query("SET LOCAL lock_timeout = '7s'")
                let row = try await transaction.query(
                    statement.sql, statement.parameters.map { PostgresParameter($0) }
                ).first
                #expect(try row?.boolean(0) == true)
                #expect(try await transaction.query("SHOW lock_timeout").first?.text(0) == "7s")
                #expect(await store.claimed(ClaimRequest(key: request.key)) == "in progress")
            }
            #expect(await store.claimed(ClaimRequest(key: request.key)) == "replay")
            await client.close()
        }
    }

    @Test("A transaction that lost against another is repeated, and not for ever", arguments: ["40001", "40P01"])
    func conflicts(sqlState: String) async throws {
        try await PostgresServer.with { server in
            _ = try await server.makeStore()
            let client = try PostgresClient(PostgresConfiguration(server.conninfo()))
            func store(failing times: Int) -> (PostgresStore, SpyExecutor) {
                let conflict = IdemptxPostgres.PostgresServerError(sqlState: sqlState, message: "conflict")
                let spy = SpyExecutor(
                    LibPQExecutor(client: client, listens: false),
                    failures: Array(repeating: conflict, count: times))
                return (PostgresStore(executor: spy), spy)
            }
            let request = ClaimRequest(key: try .named("k-1"))
            let (patient, spy) = store(failing: 4)
            #expect(await patient.claimed(request) == "attempt 1")
            // One of them asked for the time.
            #expect(spy.statements.count == 6)
            let (unlucky, _) = store(failing: 100)
            #expect(await unlucky.claimed(request) == "unavailable")
            await client.close()
        }
    }

    @Test("Claims that meet in serializable transactions exclude each other all the same")
    func serializable() async throws {
        var options = PostgresServerOptions()
        options.settings = ["default_transaction_isolation": "serializable"]
        try await PostgresServer.with(options) { server in
            let stores = [try await server.makeStore(), try await server.makeStore()]
            for round in 0..<20 {
                let key = try StorageKey.named("k-\(round)")
                let results = await withTaskGroup(of: String.self) { group in
                    for number in 0..<16 {
                        group.addTask { await stores[number % 2].claimed(ClaimRequest(key: key)) }
                    }
                    return await group.reduce(into: []) { $0.append($1) }
                }
                #expect(results.count { $0 == "attempt 1" } == 1)
                #expect(Set(results).isSubset(of: ["attempt 1", "in progress", "unavailable"]))
            }
        }
    }

    // MARK: Resources

    @Test(
        "When the disk is full, a claim is refused and leaves nothing; what is stored is replayed",
        .enabled(if: geteuid() == 0, "Only root can mount a small file system"))
    func fullDisk() async throws {
        try await PostgresServer.with { server in
            let disk = try await SmallDisk.mount(in: server.socketDirectory)
            defer { disk.unmount() }
            try await server.query("CREATE TABLESPACE small LOCATION '\(disk.path)'")
            let store = try await server.makeStore()
            try await server.query("ALTER TABLE idemptx.record SET TABLESPACE small")
            let completed = ClaimRequest(key: try .named("k-1"))
            guard case .granted(let claim) = try await store.claim(completed) else {
                Issue.record("The key should be free")
                return
            }
            #expect(try await store.complete(claim, with: .charged, keyTTL: .seconds(60)))

            let large = Outcome.response(StoredResponse(status: .ok, body: Array(repeating: 7, count: 1 << 20)))
            var refusal: StoreError?
            for number in 0..<32 where refusal == nil {
                let request = ClaimRequest(key: try .named("large-\(number)"))
                guard case .granted(let claim) = try await store.claim(request) else { continue }
                refusal = await storeError { _ = try await store.complete(claim, with: large, keyTTL: .seconds(60)) }
                if refusal == nil { continue }
                // Its outcome can still be stored in little space.
                #expect(
                    try await store.complete(
                        claim, with: .tombstone(Tombstone(status: 200)), keyTTL: .seconds(60)))
            }
            #expect(refusal?.code == .unavailable)
            #expect(refusal?.message.contains("full") == true)

            var number = 0
            try await eventually("a claim finds no room") {
                number += 1
                return await store.claimed(ClaimRequest(key: try .named("small-\(number)"))) == "unavailable"
            }
            #expect(try await store.record(for: .named("small-\(number)")) == nil)
            #expect(await store.claimed(ClaimRequest(key: completed.key)) == "replay")
        }
    }

    @Test("A server without a connection to spare is unavailable, and used as soon as it has one")
    func tooManyConnections() async throws {
        var options = PostgresServerOptions()
        options.settings = ["max_connections": "6", "superuser_reserved_connections": "3"]
        try await PostgresServer.with(options) { server in
            _ = try await server.makeStore()
            let others = try PostgresClient(PostgresConfiguration(server.conninfo()))
            let store = try PostgresStore(url: server.conninfo(), configuration: self.brisk)
            let gate = Gate()
            let holders = Task {
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<6 {
                        group.addTask {
                            try? await others.withTransaction(timeout: .seconds(120)) { transaction in
                                try await transaction.query("SELECT 1")
                                await gate.pass()
                            }
                        }
                    }
                }
            }
            defer { gate.open() }
            // The store has no connection before the others have all that there are.
            try await eventually("There is no connection to spare") { gate.arrivals == 6 }
            let refused = await store.claimed(ClaimRequest(key: try .named("k-1")))
            #expect(refused == "unavailable")
            gate.open()
            await holders.value
            await others.close()
            try await eventually("There is one again") {
                await store.claimed(ClaimRequest(key: try .named("k-2"))) == "attempt 1"
            }
        }
    }
}
