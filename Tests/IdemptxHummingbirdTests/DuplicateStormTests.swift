import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import IdemptxTesting
import TestSupport
import Testing

@Suite("A storm of duplicates")
struct DuplicateStormTests {
    private let ledger = Ledger()

    private func storm(_ policy: IdempotencyPolicy, requests: Int) async throws -> [TestResponse] {
        let ledger = self.ledger
        let router = Router()
        router.post(
            "charges",
            use: idempotent(
                store: MemoryStore(), policy: policy
            ) { request, context -> Charge in
                let order = try await request.decode(as: Order.self, context: context)
                return Charge(id: ledger.add(), amount: order.amount)
            })
        return try await Application(router: router).test(.ahc()) { client in
            try await withThrowingTaskGroup(of: TestResponse.self) { group in
                for _ in 0..<requests {
                    group.addTask { try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5)) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
        }
    }

    @Test("runs the operation once, and all get its response if they may wait")
    func waiting() async throws {
        let responses = try await self.storm(IdempotencyPolicy { $0.waitTimeout = .seconds(60) }, requests: 50)
        #expect(responses.count { $0.idempotencyStatus == .new } == 1)
        #expect(responses.count { $0.isReplay } == 49)
        #expect(Set(responses.map(\.repeatable)).count == 1)
        #expect(self.ledger.count == 1)
    }

    @Test("runs the operation once, and each gets its response or is told that it is running")
    func withoutWaiting() async throws {
        let responses = try await self.storm(IdempotencyPolicy(), requests: 50)
        #expect(responses.count { $0.idempotencyStatus == .new } == 1)
        for response in responses where response.idempotencyStatus == nil {
            #expect(try response.problemKind == .requestInProgress)
            #expect(response.headers[.retryAfter] != nil)
        }
        #expect(self.ledger.count == 1)
    }
}
