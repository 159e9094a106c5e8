import HTTPTypes
import Idemptx
import IdemptxTesting
import LibPQ
import PostgresServerTesting
import StoreTestSupport
import Synchronization
import TestSupport
import Testing

// For the executor that the store brings, whose statements are looked at.
@testable import IdemptxPostgres

@Suite("The PostgreSQL store", .timeLimit(.minutes(10)))
struct PostgresStoreTests {
    private func claim(_ request: ClaimRequest, in store: PostgresStore) async throws -> Claim? {
        guard case .granted(let claim) = try await store.claim(request) else {
            Issue.record("The key should be free")
            return nil
        }
        return claim
    }

    // MARK: Cost

    @Test("runs two statements for a first run, and one for a replay, as the server counts them")
    func statements() async throws {
        var options = PostgresServerOptions()
        options.settings = ["shared_preload_libraries": "pg_stat_statements"]
        try await PostgresServer.with(options) { server in
            try await server.query("CREATE EXTENSION pg_stat_statements")
            let idempotency = Idempotency(
                store: try await server.makeStore(), policy: IdempotencyPolicy { $0.claimTimeout = .seconds(60) })
            let ledger = Ledger()
            @Sendable func charge(_ key: String) async throws -> Int {
                try await idempotency.run("charge", key: key) { _ in ledger.add() }
            }
            func count() async throws -> Int64 {
                try await server.number(
                    """
                    SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
                    WHERE toplevel AND query LIKE '%"idemptx"%'
                    """)
            }
            // The first call asks the server for its time.
            #expect(try await charge("k-0") == 1)
            let before = try await count()
            #expect(try await charge("k-1") == 2)
            #expect(try await count() == before + 2)
            #expect(try await charge("k-1") == 2)
            #expect(try await count() == before + 3)
        }
    }

    @Test("writes nothing and locks nothing where nothing changes")
    func readsOnly() async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore()
            let fingerprint = Fingerprint(ofBytes: [1])
            let completed = ClaimRequest(key: try .named("k-1"), fingerprint: fingerprint)
            guard let claim = try await self.claim(completed, in: store) else { return }
            #expect(try await store.complete(claim, with: .charged, keyTTL: .seconds(60)))
            let running = ClaimRequest(key: try .named("k-2"))
            let unknown = ClaimRequest(key: try .named("k-3"), lease: .zero)
            #expect(await store.claimed(running) == "attempt 1")
            #expect(await store.claimed(unknown) == "attempt 1")

            let before = try await server.nextTransaction()
            for _ in 0..<3 {
                #expect(
                    await store.claimed(ClaimRequest(key: completed.key, fingerprint: fingerprint)) == "replay")
                let other = ClaimRequest(key: completed.key, fingerprint: Fingerprint(ofBytes: [2]))
                #expect(await store.claimed(other) == "mismatch")
                #expect(await store.claimed(ClaimRequest(key: running.key)) == "in progress")
                #expect(await store.claimed(ClaimRequest(key: unknown.key, onAbandoned: .refuse)) == "unknown")
            }
            #expect(try await server.nextTransaction() == before)
            #expect(await store.claimed(ClaimRequest(key: try .named("k-4"))) == "attempt 1")
            #expect(try await server.nextTransaction() != before, "A claim does write")
        }
    }

    @Test(
        "commits a completion once more when it is repeated, so that it waits for standbys again, and changes nothing")
    func repeatedCompletion() async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore()
            let request = ClaimRequest(key: try .named("k-1"))
            guard let claim = try await self.claim(request, in: store) else { return }
            #expect(try await store.complete(claim, with: .charged, keyTTL: .seconds(60)))
            let before = try await server.nextTransaction()
            let other = Outcome.tombstone(Tombstone(status: 500))
            #expect(try await store.complete(claim, with: other, keyTTL: .seconds(60)))
            #expect(try await server.nextTransaction() != before)
            #expect(await store.claimed(ClaimRequest(key: request.key)) == "replay")
        }
    }

    @Test("touches no index when a claim is renewed and completed")
    func updatesInPlace() async throws {
        // While anybody reads in an older snapshot, as autovacuum does, the room of old versions cannot be used again.
        var options = PostgresServerOptions()
        options.settings = ["autovacuum": "off"]
        try await PostgresServer.with(options) { server in
            let store = try await server.makeStore(connection: PostgresConnectionConfiguration(connections: 1))
            for number in 0..<20 {
                guard let claim = try await self.claim(ClaimRequest(key: try .named("k-\(number)")), in: store) else {
                    return
                }
                #expect(try await store.renew(claim, lease: .seconds(60)))
                #expect(try await store.complete(claim, with: .charged, keyTTL: ClaimRequest.defaultKeyTTL))
            }
            func count(_ column: String) async throws -> Int64 {
                try await server.number("SELECT \(column) FROM pg_stat_user_tables WHERE relname = 'record'")
            }
            try await eventually("the updates are counted") {
                // Before PostgreSQL 15, a connection reports what it has done with one of its next statements.
                #expect(await store.claimed(ClaimRequest(key: try .named("k-0"))) == "replay")
                return try await count("n_tup_upd") == 40
            }
            #expect(try await count("n_tup_hot_upd") == 40)
        }
    }

    // MARK: Waiting

    @Test("wakes those who wait by another client, without a poll")
    func wakesOthers() async throws {
        try await PostgresServer.with { server in
            let (first, second) = (try await server.makeStore(), try await server.makeStore())
            for (number, ending) in ["complete", "release", "unknown", "operator", "remove"].enumerated() {
                let request = ClaimRequest(key: try .named("k-\(number)"))
                guard let claim = try await self.claim(request, in: first) else { return }
                var hints = second.changes(of: request.key).makeAsyncIterator()
                #expect(await hints.next(isolation: #isolation) != nil, "The store listens")
                #expect(await second.claimed(ClaimRequest(key: request.key)) == "in progress")
                switch ending {
                case "complete": #expect(try await first.complete(claim, with: .charged, keyTTL: .seconds(60)))
                case "release": #expect(try await first.release(claim))
                case "unknown": #expect(try await first.renew(claim, lease: .zero))
                case "operator": #expect(try await first.release(request.key, force: true, reason: "test") == .done)
                default: #expect(try await first.remove(request.key, reason: "a test"))
                }
                #expect(await hints.next(isolation: #isolation) != nil, "\(ending) is hinted at")
            }
        }
    }

    @Test("notifies only if somebody waits")
    func notifications() async throws {
        try await PostgresServer.with { server in
            let (first, second) = (try await server.makeStore(), try await server.makeStore())
            let client = try PostgresClient(PostgresConfiguration(server.conninfo()))
            var events = client.listen("idemptx").makeAsyncIterator()
            #expect(await events.next(isolation: #isolation) == .listening)
            for number in 0..<10 {
                let request = ClaimRequest(key: try .named("quiet-\(number)"))
                guard let claim = try await self.claim(request, in: first) else { return }
                // One that does not wait, or that is told by nobody, is no reason.
                #expect(await second.claimed(ClaimRequest(key: request.key)) == "in progress")
                #expect(
                    try await number.isMultiple(of: 2)
                        ? first.complete(claim, with: .charged, keyTTL: .seconds(60)) : first.release(claim))
            }
            let waited = ClaimRequest(key: try .named("waited"))
            guard let claim = try await self.claim(waited, in: first) else { return }
            var hints = second.changes(of: waited.key).makeAsyncIterator()
            _ = await hints.next(isolation: #isolation)
            #expect(await second.claimed(ClaimRequest(key: waited.key)) == "in progress")
            #expect(try await first.complete(claim, with: .charged, keyTTL: .seconds(60)))
            // Notifications come in the order of commits: there was none before.
            let event = await events.next(isolation: #isolation)
            #expect(event == .notification(payload: waited.key.description))
            await client.close()
        }
    }

    @Test("hears of the next attempt, too, if the one that was waited for is released and another takes the key")
    func nextAttempt() async throws {
        try await PostgresServer.with { server in
            let (first, second) = (try await server.makeStore(), try await server.makeStore())
            let key = try StorageKey.named("k-1")
            var hints = second.changes(of: key).makeAsyncIterator()
            _ = await hints.next(isolation: #isolation)
            for _ in 1...3 {
                guard let claim = try await self.claim(ClaimRequest(key: key), in: first) else { return }
                #expect(await second.claimed(ClaimRequest(key: key)) == "in progress")
                #expect(try await first.release(claim))
                #expect(await hints.next(isolation: #isolation) != nil)
            }
        }
    }

    @Test("wakes the waiters of its own process without a notification, and others by their polls")
    func withoutListening() async throws {
        try await PostgresServer.with { server in
            let deaf = PostgresConnectionConfiguration(connections: 2, listens: false)
            let stores = [
                try await server.makeStore(connection: deaf), try await server.makeStore(connection: deaf),
            ]
            let policy = IdempotencyPolicy { $0.waitTimeout = .seconds(60) }
            let engines = stores.map { Idempotency(store: $0, policy: policy) }
            let (ledger, gate) = (Ledger(), Gate())
            let first = Task {
                try await engines[0].run("charge", key: "k-1") { _ in
                    await gate.pass()
                    return ledger.add()
                }
            }
            try await eventually("the first attempt runs") { try await stores[0].statistics().count(of: .claimed) == 1 }
            let second = Task { try await engines[1].run("charge", key: "k-1") { _ in ledger.add() } }
            gate.open()
            #expect(try await first.value == 1)
            #expect(try await second.value == 1)
            #expect(ledger.count == 1)

            let request = ClaimRequest(key: try .named("k-2"))
            guard let claim = try await self.claim(request, in: stores[0]) else { return }
            var hints = stores[0].changes(of: request.key).makeAsyncIterator()
            #expect(try await stores[0].release(claim))
            #expect(await hints.next(isolation: #isolation) != nil)
        }
    }

    // MARK: Records

    static let outcomes: [Outcome] = [
        .charged,
        .response(StoredResponse(status: .noContent)),
        .response(
            StoredResponse(
                status: HTTPResponse.Status(code: 299, reasonPhrase: "Quite: fine"),
                headerFields: HTTPFields([
                    HTTPField(name: .setCookie, value: "a=1"), HTTPField(name: .setCookie, value: "b: 2"),
                    HTTPField(name: .contentType, lenientValue: [0xE4, 0x20, 0xFF]),
                    HTTPField(name: .location, value: ""),
                ]),
                body: Array(0...255))),
        .response(StoredResponse(status: .ok, body: Array(repeating: 7, count: 3 << 20))),
        .tombstone(Tombstone(status: 201, location: "/charges/1")),
        .tombstone(Tombstone(status: 502)),
    ]

    @Test("replays what was stored, byte by byte", arguments: outcomes.indices)
    func roundTrip(index: Int) async throws {
        let outcome = Self.outcomes[index]
        try await PostgresServer.withDatabase { database in
            let store = try PostgresStore(url: database.url)
            try await store.migrate()
            let request = ClaimRequest(key: try .named("k-1"))
            guard let claim = try await self.claim(request, in: store) else { return }
            #expect(try await store.complete(claim, with: outcome, keyTTL: .seconds(60)))
            guard case .completed(let replayed) = try await store.claim(ClaimRequest(key: request.key)) else {
                Issue.record("The key should be completed")
                return
            }
            #expect(replayed == outcome)
            guard case .response(let response) = replayed, case .response(let stored) = outcome else { return }
            // Equal statuses can have different phrases, and equal fields different bytes.
            #expect(response.status.reasonPhrase == stored.status.reasonPhrase)
            let values = [response, stored].map { response in
                response.headerFields.map { unsafe $0.withUnsafeBytesOfValue { unsafe Array($0) } }
            }
            #expect(values[0] == values[1])
        }
    }

    @Test("shows its records to whoever selects them")
    func overview() async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore()
            let (completed, running) = (try StorageKey.named("k-1"), try StorageKey.named("k-2"))
            let (unknown, done) = (try StorageKey.named("k-3"), try StorageKey.named("k-4"))
            guard let claim = try await self.claim(ClaimRequest(key: completed), in: store),
                let other = try await self.claim(ClaimRequest(key: done), in: store)
            else { return }
            #expect(try await store.complete(claim, with: .charged, keyTTL: .seconds(60)))
            #expect(
                try await store.complete(other, with: .tombstone(Tombstone(status: 502)), keyTTL: .seconds(60)))
            #expect(await store.claimed(ClaimRequest(key: running)) == "attempt 1")
            #expect(
                await store.claimed(ClaimRequest(key: unknown, lease: .zero, onAbandoned: .refuse)) == "attempt 1")
            #expect(
                await store.claimed(ClaimRequest(key: try .named("gone"), lease: .zero, keyTTL: .zero)) == "attempt 1")
            let shown = try await server.query(
                """
                SELECT concat_ws(
                    ' ', key, state, attempt, status, body_bytes, lease_ends > now(), first_claimed <= now(), expires
                    = 'infinity')
                FROM idemptx.record_overview
                """)
            let lines = try shown.rows.compactMap { try $0.text(0) }
            #expect(
                Set(lines) == [
                    "\(completed) completed 1 201 7 t f", "\(running) claimed 1 t t f", "\(unknown) unknown 1 f t t",
                    "\(done) tombstone 1 502 t f",
                ])
            let head = try await server.query(
                "SELECT convert_from(head, 'UTF8'), convert_from(body, 'UTF8') FROM idemptx.record WHERE status = 201")
            #expect(try head.first?.text(0) == "201 Created\nLocation: /charges/1\n")
            #expect(try head.first?.text(1) == "charged")
        }
    }

    @Test("takes a damaged record for an error until it is removed, and lists the others")
    func damage() async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore()
            let request = ClaimRequest(key: try .named("k-1"))
            guard let claim = try await self.claim(request, in: store) else { return }
            #expect(try await store.complete(claim, with: .charged, keyTTL: .seconds(60)))
            #expect(await store.claimed(ClaimRequest(key: try .named("k-2"))) == "attempt 1")
            for damage in ["head = 'x'", "head = '201 Created\nx\n'", "status = 999", "head = null"] {
                try await server.query("UPDATE idemptx.record SET \(damage) WHERE status IS NOT NULL")
                #expect(await store.claimed(ClaimRequest(key: request.key)) == "corruptRecord")
            }
            try await server.query("UPDATE idemptx.record SET owner = 'short' WHERE status IS NOT NULL")
            let error = await #expect(throws: StoreError.self) { try await store.record(for: request.key) }
            #expect(error?.code == .corruptRecord)
            let records = try await store.records(in: nil, after: nil, limit: 10).records
            #expect(records.count == 2 && records.count { $0.state == .unreadable && $0.key == request.key } == 1)
            #expect(try await store.remove(request.key, reason: "a test"))
            #expect(await store.claimed(request) == "attempt 1")
        }
    }

    @Test("keeps a record for no time, or for more than a century, when that is asked for")
    func extremes() async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore()
            let fleeting = ClaimRequest(key: try .named("k-1"), lease: .zero, keyTTL: .zero)
            for _ in 1...2 { #expect(await store.claimed(fleeting) == "attempt 1") }
            let longest = ClaimRequest(
                key: try .named("k-2"), lease: .seconds(Int64.max), keyTTL: .seconds(Int64.max))
            #expect(await store.claimed(longest) == "attempt 1")
            let kept = ClaimRequest(
                key: try .named("k-3"), lease: .seconds(Int64.max), onAbandoned: .refuse,
                unresolvedRetention: .seconds(Int64.max))
            #expect(await store.claimed(kept) == "attempt 1")
            #expect(try await store.statistics().count(of: .claimed) == 2)
            #expect(try await server.number("SELECT count(*) FROM idemptx.record_overview") == 2)
        }
    }

    @Test("finds unknown outcomes under refuse without a search, and keeps them")
    func unknownOutcomes() async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore()
            for number in 0..<50 {
                #expect(await store.claimed(ClaimRequest(key: try .named("other-\(number)"))) == "attempt 1")
            }
            let request = ClaimRequest(
                key: try .named("k-1"), lease: .zero, keyTTL: .milliseconds(1), onAbandoned: .refuse)
            #expect(await store.claimed(request) == "attempt 1")
            #expect(try await store.unknownCount() == 1)
            let page = try await store.records(in: .unknown, after: nil, limit: 10)
            #expect(page.records.map(\.key) == [request.key] && page.next == nil)
            #expect(try await store.record(for: request.key)?.header?.expires == .distantFuture)
            #expect(try await store.sweepExpired(limit: 10) == 0)
            let indexed = try await server.query("SELECT pg_relation_size('idemptx.record_unsettled')")
            #expect(try indexed.first?.integer(0) == 16384, "The index holds one record, not all")

            #expect(try await store.release(request.key, force: false, reason: "test") == .done)
            #expect(try await store.unknownCount() == 0)
            #expect(await store.claimed(ClaimRequest(key: request.key, onAbandoned: .refuse)) == "attempt 2")
        }
    }

    // MARK: Sweeping

    @Test("sweeps in batches, past what others have locked")
    func sweeping() async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore()
            let keys = try (0..<250).map { try StorageKey.named("k-\($0)") }
            for key in keys {
                #expect(
                    await store.claimed(ClaimRequest(key: key, lease: .zero, keyTTL: .milliseconds(1))) == "attempt 1")
            }
            #expect(await store.claimed(ClaimRequest(key: try .named("live"))) == "attempt 1")
            try await eventually("all have expired") { try await store.statistics().total == 1 }
            #expect(try await store.sweepExpired(limit: 120) == 120)
            // The last to expire is there all the same.
            try await withLock(on: keys[249], in: server) { () async throws in
                #expect(try await store.sweepExpired(limit: 1000) == 129)
            }
            #expect(try await store.sweepExpired(limit: 1000) == 1)
            #expect(try await server.number("SELECT count(*) FROM idemptx.record") == 1)
        }
    }

    @Test("deletes large responses a few at a time")
    func largeSweeps() async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore()
            let large = Outcome.response(StoredResponse(status: .ok, body: Array(repeating: 7, count: 3 << 20)))
            for number in 0..<4 {
                guard let claim = try await self.claim(ClaimRequest(key: try .named("k-\(number)")), in: store) else {
                    return
                }
                #expect(try await store.complete(claim, with: large, keyTTL: .milliseconds(1)))
            }
            try await eventually("all have expired") { try await store.statistics().total == 0 }
            let first = try await server.query("SELECT swept, has_more FROM idemptx.sweep(100, 4 << 20)").first
            #expect(try first?.integer(0) == 2 && first?.boolean(1) == true)
            #expect(try await store.sweepExpired(limit: 100) == 2)
        }
    }

    // MARK: Set-up

    @Test(
        "refuses a URL in a sentence, without the password in it",
        arguments: ["postgres://a:hunter2@b?nonsense=1", "host=a password='hunter2"])
    func badURL(url: String) {
        let error = #expect(throws: StoreError.self) { try PostgresStore(url: url) }
        #expect(error?.code == .misconfigured)
        #expect(error?.message.contains("hunter2") == false)
        #expect(error?.message.hasSuffix(".") == true)
    }
}
