import HTTPTypes
import Hummingbird
import Idemptx
import IdemptxHummingbird
import Logging
import ServiceLifecycle

/// The routes of the demo.
struct PaymentsAPI<Ledger: ChargeLedger>: Sendable {
    let ledger: Ledger

    /// Routes whose responses are recorded beside the ledger.
    func router(guardedBy idempotency: Idempotency) -> Router<BasicRequestContext> {
        let router = Router(options: .autoGenerateHeadEndpoints)
        self.addReading(to: router)
        router.group("charges")
            .add(middleware: IdempotencyMiddleware(idempotency: idempotency, scope: .anonymous))
            .post { request, context in
                try await self.create(request, context) { try await self.ledger.add($0, attempt: $1) }
            }
        return router
    }

    /// Routes whose responses are committed together with what they write into the ledger.
    func router<Store: TransactionJoining>(
        guardedBy idempotency: Idempotency, in store: Store
    ) -> Router<BasicRequestContext> where Ledger: TransactionalLedger<Store.Transaction> {
        let router = Router(options: .autoGenerateHeadEndpoints)
        self.addReading(to: router)
        router.post(
            "charges",
            use: idempotent(by: idempotency, in: store, scope: .anonymous) { request, context, transaction in
                try await self.create(request, context) {
                    try await self.ledger.add($0, attempt: $1, in: transaction)
                }
            })
        return router
    }

    private func addReading(to router: Router<BasicRequestContext>) {
        router.get(use: DemoPage().show)
        router.get("charges", use: self.list)
        router.get("charges/:id", use: self.show)
    }

    @Sendable
    private func list(request: Request, context: BasicRequestContext) async throws -> [Charge] {
        try await self.reading { try await self.ledger.all() }
    }

    @Sendable
    private func show(request: Request, context: BasicRequestContext) async throws -> Charge {
        let id = try context.parameters.require("id", as: Int64.self)
        let charge = try await self.reading { try await self.ledger.charge(id) }
        guard let charge else { throw HTTPError(.notFound) }
        return charge
    }

    /// Reads from the ledger, which may be a database that is away.
    private func reading<Result>(_ read: () async throws -> Result) async throws -> Result {
        do {
            return try await read()
        } catch let error as StoreError {
            throw HTTPError(.serviceUnavailable, message: "\(error)")
        }
    }

    private func create(
        _ request: Request,
        _ context: BasicRequestContext,
        charge: (ChargeOrder, _ attempt: Int) async throws -> Charge
    ) async throws -> EditedResponse<Charge> {
        let order = try await request.decode(as: ChargeOrder.self, context: context)
        guard order.amount > 0 else { throw HTTPError(.badRequest, message: "The amount must be positive") }
        let latency = try self.latency(of: request)

        let charge = try await charge(order, IdempotencyContext.current?.attempt ?? 1)
        context.logger.info(
            "Charged", metadata: ["charge": "\(charge.id)", "attempt": "\(charge.attempt)"])
        // The worst moment for a crash: the money has moved, and the client does not know.
        // Ending the demo does not wait for it.
        await cancelWhenGracefulShutdown { try? await Task.sleep(for: latency) }
        return EditedResponse(
            status: .created, headers: [.location: "/charges/\(charge.id)"], response: charge)
    }

    private func latency(of request: Request) throws -> Duration {
        guard let text = request.uri.queryParameters["latency"] else { return .zero }
        guard let latency = Duration(setting: String(text)), latency <= .seconds(300) else {
            throw HTTPError(.badRequest, message: "latency is not \(Duration.expectation), of at most 5m")
        }
        return latency
    }
}
