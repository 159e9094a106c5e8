import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import IdemptxTesting
import TestSupport
import Testing

@Suite("A route whose lease is lost")
struct LeaseLossTests {
    private let clock = ManualClock()
    private let ledger = Ledger()

    /// Two processes that share their records: the first does not reach the store.
    private struct Processes {
        let first: FaultyStore
        let second: MemoryStore

        init(clock: ManualClock) {
            self.second = MemoryStore(clock: clock)
            self.first = FaultyStore(self.second, clock: clock)
        }
    }

    private func app(
        _ store: any IdempotencyStore,
        handler: @escaping @Sendable (IdempotencyContext) async throws -> String
    ) -> some ApplicationProtocol {
        let idempotency = Idempotency(store: store, clock: self.clock)
        let route: @Sendable (Request, BasicRequestContext) async throws -> String = { _, _ in
            try await handler(#require(IdempotencyContext.current))
        }
        let router = Router()
        router.post("single", use: idempotent(by: idempotency, scope: .unscoped, handler: route))
        router.group("group").add(middleware: IdempotencyMiddleware(idempotency: idempotency, scope: .unscoped))
            .post(use: route)
        return Application(router: router)
    }

    @Test(
        "is cancelled, stores nothing, and its caller learns that another attempt has the key",
        arguments: ["/single", "/group"])
    func cancelled(path: String) async throws {
        let processes = Processes(clock: self.clock)
        let (ledger, isCancelled) = (self.ledger, Gate())
        let first = self.app(processes.first) { context in
            ledger.add()
            await withTaskCancellationHandler {
                await isCancelled.pass()
            } onCancel: {
                isCancelled.open()
            }
            try Task.checkCancellation()
            return "first"
        }
        let second = self.app(processes.second) { context in
            ledger.add()
            return "second, attempt \(context.attempt)"
        }
        try await first.test(.ahc()) { firstClient in
            async let cutOff = firstClient.execute(uri: path, idempotencyKey: "k-1")
            try await eventually { isCancelled.arrivals == 1 }
            processes.first.breakDown(at: .renew)
            self.clock.advance(by: .seconds(31))
            try await second.test(.router) { client in
                let response = try await client.execute(uri: path, idempotencyKey: "k-1")
                #expect(response.text == "second, attempt 2")
            }
            processes.first.heal()
            try await eventually {
                self.clock.advance(by: .seconds(1))
                return isCancelled.isOpen
            }
            #expect(try await cutOff.problemKind == .requestInProgress)
            let again = try await firstClient.execute(uri: path, idempotencyKey: "k-1")
            #expect(again.text == "second, attempt 2")
            #expect(again.isReplay)
        }
        #expect(processes.first.count(of: .complete) == 0)
    }
}
