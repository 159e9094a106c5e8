import Idemptx
import PostgresServerTesting
import StoreTestSupport
import Synchronization
import TestSupport
import Testing

// For the executor that the store brings, in whose way faults are put.
@testable import IdemptxPostgres

@Suite("The deadline of a call to PostgreSQL", .timeLimit(.minutes(5)))
struct DeadlineTests {
    private func claims(of count: Int, in store: PostgresStore) async throws -> [String] {
        var results: [String] = []
        for number in 0..<count {
            results.append(await store.claimed(ClaimRequest(key: try .named("other-\(number)"))))
        }
        return results
    }

    @Test("A lock that somebody else holds on a record fails its calls in time and undone, and no others")
    func lockedRecord() async throws {
        try await PostgresServer.with { server in
            let store = try await server.makeStore(
                configuration: PostgresStoreConfiguration(callTimeout: .seconds(16)))
            let request = ClaimRequest(key: try .named("k-1"), lease: .zero)
            guard case .granted(let claim) = try await store.claim(request) else {
                Issue.record("The key should be free")
                return
            }
            let over = Gate()
            try await withLock(on: request.key, in: server) { () async throws in
                async let blocked = storeError {
                    defer { over.open() }
                    _ = try await store.claim(ClaimRequest(key: request.key))
                }
                try await eventually("the claim waits") {
                    let waiting = try await server.number("SELECT count(*) FROM pg_locks WHERE NOT granted")
                    return waiting == 1 || over.isOpen
                }
                // While those wait, the second one for the first and then for the lock, everybody else goes on.
                async let others = self.claims(of: 20, in: store)
                let blockedToo = await storeError {
                    _ = try await store.complete(claim, with: .charged, keyTTL: .seconds(60))
                }
                #expect(try await others == Array(repeating: "attempt 1", count: 20))
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

    /// Takes its time for each statement, and remembers how much it was given.
    private final class SlowExecutor: PostgresExecutor {
        static let duration = Duration.milliseconds(50)

        private let executor: any PostgresExecutor
        private let given = Mutex<[Duration]>([])

        init(_ executor: any PostgresExecutor) {
            self.executor = executor
        }

        var timeouts: [Duration] { self.given.withLock { $0 } }

        func execute(_ statement: PostgresStatement, timeout: Duration) async throws -> [[PostgresValue]] {
            self.given.withLock { $0.append(timeout) }
            try await Task.sleep(for: Self.duration)
            return try await self.executor.execute(statement, timeout: timeout)
        }

        func listen(to channel: String) -> AsyncStream<PostgresNotification> { self.executor.listen(to: channel) }
    }

    @Test("The first claim of a store, which asks for the time first, has no more time than others")
    func firstClaim() async throws {
        try await PostgresServer.with { server in
            let executor = SlowExecutor(try await server.makeStore().executor)
            let store = PostgresStore(executor: executor)
            #expect(
                await store.claimed(ClaimRequest(key: try .named("k-1"), timeout: .seconds(60))) == "attempt 1")
            let timeouts = executor.timeouts
            #expect(timeouts.count == 2)
            #expect(timeouts[1] <= timeouts[0] - SlowExecutor.duration)
        }
    }
}
