import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import IdemptxTesting
import Testing

@Suite("The middleware")
struct MiddlewareTests {
    private func app(_ ledger: Ledger, store: any IdempotencyStore = MemoryStore()) -> some ApplicationProtocol {
        let router = Router()
        let charges = router.group("charges").add(middleware: IdempotencyMiddleware(store: store))
        charges.post { request, context -> EditedResponse<Charge> in
            let order = try await request.decode(as: Order.self, context: context)
            let id = ledger.add()
            return EditedResponse(
                status: .created, headers: [.location: "/charges/\(id)"],
                response: Charge(id: id, amount: order.amount))
        }
        charges.get { _, _ in "\(ledger.add())" }
        return Application(router: router)
    }

    @Test("A retry gets the first answer and runs nothing", arguments: everySetup)
    func replays(setup: TestingSetup) async throws {
        let ledger = Ledger()
        try await self.app(ledger).test(setup) { client in
            let first = try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5))
            #expect(first.status == .created)
            #expect(first.idempotencyStatus == .new)
            #expect(!first.isReplay)
            #expect(first.headers[.idempotencyKey] == "k-1")

            let again = try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5))
            #expect(again.idempotencyStatus == .hit)
            #expect(again.isReplay)
            #expect(again.repeatable == first.repeatable)
            #expect(again.headers[.location] == "/charges/1")
        }
        #expect(ledger.count == 1)
    }

    @Test("No key is refused", arguments: everySetup)
    func refusesMissingKey(setup: TestingSetup) async throws {
        let ledger = Ledger()
        try await self.app(ledger).test(setup) { client in
            let answer = try await client.execute(uri: "/charges", method: .post, body: .order(5))
            #expect(answer.status == .badRequest)
            #expect(answer.headers[.contentType] == "application/problem+json")
            #expect(try answer.problem["type"] as? String == "urn:idemptx:problem:key-missing")
        }
        #expect(ledger.count == 0)
    }
}
