import HTTPTypes
import Hummingbird
import Idemptx
import IdemptxHummingbird
import Logging
import ServiceLifecycle

/// The routes of the demo.
struct PaymentsAPI: Sendable {
    /// The longest wait that a request may ask for.
    private static let maximumLatency = Duration.seconds(300)

    let ledger: ChargeLedger

    func router(guardedBy idempotency: Idempotency) -> Router<BasicRequestContext> {
        let router = Router(options: .autoGenerateHeadEndpoints)
        router.get(use: DemoPage().show)
        router.group("charges")
            .add(middleware: IdempotencyMiddleware(idempotency: idempotency, scope: .anonymous))
            .get(use: self.list)
            .get(":id", use: self.show)
            .post(use: self.create)
        return router
    }

    @Sendable
    private func list(request: Request, context: BasicRequestContext) async throws -> [Charge] {
        try await self.ledger.all()
    }

    @Sendable
    private func show(request: Request, context: BasicRequestContext) async throws -> Charge {
        let id = try context.parameters.require("id", as: Int64.self)
        guard let charge = try await self.ledger.charge(id) else { throw HTTPError(.notFound) }
        return charge
    }

    @Sendable
    private func create(request: Request, context: BasicRequestContext) async throws -> EditedResponse<Charge> {
        let order = try await request.decode(as: ChargeOrder.self, context: context)
        guard order.amount > 0 else { throw HTTPError(.badRequest, message: "The amount must be positive") }
        let latency = try self.latency(of: request)

        let charge = try await self.ledger.add(order, attempt: IdempotencyContext.current?.attempt ?? 1)
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
        guard let latency = Duration(setting: String(text)), latency <= Self.maximumLatency else {
            throw HTTPError(.badRequest, message: "latency is not \(Duration.expectation), of at most 5m")
        }
        return latency
    }
}
