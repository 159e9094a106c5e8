import Idemptx
import InMemoryLogging
import LibPQ
import Logging
import PostgresServerTesting
import StoreTestSupport
import TestSupport
import Testing

// For the executor that the store brings, whose statements are delayed.
@testable import IdemptxPostgres

@Suite("The deadline of a call to PostgreSQL", .timeLimit(.minutes(5)))
struct DeadlineTests {
    @Test("A lock that somebody else holds on a record fails its calls in time and undone, and no others")
    func lockedRecord() async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore(
                configuration: PostgresStoreConfiguration(callTimeout: .seconds(24)))
            let request = ClaimRequest(key: try .named("k-1"), lease: .zero)
            guard case .granted(let claim) = try await store.claim(request) else {
                Issue.record("The key should be free")
                return
            }
            try await withLock(on: request.key, in: server) { () async throws in
                let claimFailed = Gate()
                async let blocked = storeError {
                    defer { claimFailed.open() }
                    _ = try await store.claim(ClaimRequest(key: request.key))
                }
                try await eventually("the claim waits") {
                    try await server.number("SELECT count(*) FROM pg_locks WHERE NOT granted") == 1
                }
                let other = ClaimRequest(key: try .named("k-2"))
                async let claimsOther = store.claimed(other) == "attempt 1" && !claimFailed.isOpen
                // It waits for the claim before it waits for the lock.
                let blockedToo = await storeError {
                    _ = try await store.complete(claim, with: .charged, keyTTL: .seconds(60))
                }
                #expect(await claimsOther, "Calls for other keys do not wait")
                for error in [await blocked, blockedToo] {
                    #expect(error?.code == .unavailable)
                    #expect(error?.message.contains("lock") == true)
                }
                // Reading waits for nobody.
                #expect(await store.claimed(ClaimRequest(key: request.key, onAbandoned: .refuse)) == "unknown")
            }
            #expect(await store.claimed(ClaimRequest(key: request.key)) == "attempt 2")
        }
    }

    @Test(
        "A claim that has waited for locks until its caller has given up is not granted",
        arguments: [(attempts: 0, message: "its caller had given up"), (1, "holds a lock")])
    func lockTooLate(attempts: Int64, message: String) async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore()
            let key = try StorageKey.named("k-1")
            if attempts == 1 {
                let other = try await server.makeStore()
                #expect(await other.claimed(ClaimRequest(key: key, lease: .zero)) == "attempt 1")
            }
            // An hour passes after the store and the claim have asked for the time once each.
            try await server.query("CREATE SEQUENCE asked")
            try await server.query(
                """
                CREATE OR REPLACE FUNCTION idemptx.clock() RETURNS bigint LANGUAGE sql VOLATILE AS $$
                    SELECT floor(date_part('epoch', clock_timestamp()) * 1000)::bigint
                        + CASE WHEN nextval('asked') > 2 THEN 3600000 ELSE 0 END
                $$
                """)
            let error = await storeError { _ = try await store.claim(ClaimRequest(key: key)) }
            #expect(error?.code == .unavailable)
            #expect(error?.message.contains(message) == true)
            #expect(try await server.number("SELECT coalesce(max(attempt), 0) FROM idemptx.record") == attempts)
        }
    }

    @Test("A locked record is no outage: nothing runs without the store, and the log says nothing of one")
    func lockedRecordUnderBypass() async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore(
                configuration: PostgresStoreConfiguration(callTimeout: .seconds(6)))
            let policy = IdempotencyPolicy {
                $0.onStoreFailure = .bypass
                $0.claimTimeout = .seconds(6)
                $0.claimRetryTime = .zero
            }
            let (ledger, log) = (Ledger(), InMemoryLogHandler())
            func charge() async throws -> Int {
                // Each time as another process.
                try await Idempotency(store: store, policy: policy).run("charge", key: "k-1") { _ in ledger.add() }
            }
            #expect(try await charge() == 1)
            try await server.query("UPDATE idemptx.record SET expires = 0")
            let key = try #require(try await server.query("SELECT key FROM idemptx.record").first?.bytes(0))
            try await withLock(on: try #require(StorageKey(bytes: key)), in: server) { () async throws in
                await withLogger(Logger(label: "test") { _ in log }) { _ in
                    let error = await #expect(throws: IdempotencyProblem.self) { try await charge() }
                    #expect(error?.kind == .storeUnavailable)
                }
            }
            #expect(ledger.count == 1)
            #expect(log.entries.filter { $0.level >= .warning }.isEmpty)
            #expect(try await charge() == 2)
        }
    }

    @Test("The first claim of a store, which asks for the time first, has no more time than others")
    func firstClaim() async throws {
        try await PostgresServer.with { server in
            let delay = Duration.milliseconds(50)
            let executor = SpyExecutor(try await server.makeStore().executor, delay: delay)
            let store = PostgresStore(
                executor: executor, configuration: PostgresStoreConfiguration(callTimeout: .seconds(60)))
            #expect(await store.claimed(ClaimRequest(key: try .named("k-1"))) == "attempt 1")
            let timeouts = executor.timeouts
            try #require(timeouts.count == 2)
            #expect(timeouts[1] <= timeouts[0] - delay)
        }
    }
}
