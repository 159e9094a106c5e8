import Idemptx
import LibPQ
import PostgresServerTesting
import StoreTestSupport
import Testing

// For the executor that the store brings, whose statements are looked at.
@testable import IdemptxPostgres

@Suite("The priority of a statement", .timeLimit(.minutes(10)))
struct PriorityTests {
    @Test("is above that of claims for what ends an operation or keeps it alive")
    func priorities() async throws {
        try await PostgresServer.withDatabase { database in
            let client = try PostgresClient(PostgresConfiguration(database.conninfo()))
            let spy = SpyExecutor(LibPQExecutor(client: client, listens: false))
            let store = PostgresStore(executor: spy)
            try await store.migrate()

            let before = spy.statements.count
            for ending in ["complete", "release"] {
                let request = ClaimRequest(key: try .named(ending))
                guard case .granted(let claim) = try await store.claim(request) else {
                    Issue.record("The key should be free")
                    return
                }
                #expect(try await store.renew(claim, lease: .seconds(60)))
                if ending == "release" {
                    #expect(try await store.release(claim))
                } else {
                    #expect(try await store.complete(claim, with: .charged, keyTTL: .seconds(60)))
                }
            }
            let key = try StorageKey.named("complete")
            #expect(try await store.release(key, force: true, reason: "a test") == .alreadyCompleted)
            #expect(try await store.remove(key, reason: "a test"))
            _ = try await store.sweepExpired(limit: 10)

            let statements = spy.statements.dropFirst(before).filter { !$0.sql.contains("clock()") }
            #expect(
                statements.map(\.priority) == [
                    .claim, .settle, .settle, .claim, .settle, .settle, .settle, .settle, .background,
                ])
            await client.close()
        }
    }
}
