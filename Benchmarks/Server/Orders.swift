import Foundation
import Hummingbird
import Synchronization

/// The handler that is measured: 60 bytes of JSON in, 60 bytes out.
final class Orders: Sendable {
    private struct NewOrder: Decodable {
        let item: String
        let quantity: Int
        let amount: Int
        let currency: String
    }

    private struct Order: ResponseEncodable {
        let id: Int
        let item: String
        let amount: Int
        let currency: String
    }

    /// Of an operation that waiters wait for.
    private struct SlowOrder: ResponseEncodable {
        /// When the operation ended, in nanoseconds of the system's monotonic clock.
        let ended: UInt64
    }

    private let executions = Atomic(0)

    /// How often a handler has run.
    var count: Int { self.executions.load(ordering: .relaxed) }

    func place(_ request: Request, _ context: some RequestContext) async throws -> Response {
        let new = try await request.decode(as: NewOrder.self, context: context)
        // Of ten digits, and another one each time: a response shows which execution it is of.
        let number = self.executions.add(1, ordering: .relaxed).newValue
        let order = Order(id: 1_000_000_000 + number, item: new.item, amount: new.amount, currency: new.currency)
        var response = try order.response(from: request, context: context)
        response.status = .created
        return response
    }

    /// Keeps a thread busy for as long as the request's query says in `microseconds`, and touches hardly any memory.
    func placeBusily(_ request: Request, _ context: some RequestContext) async throws -> Response {
        let duration = try request.uri.queryParameters.require("microseconds", as: Int.self)
        let end = ContinuousClock.now.advanced(by: .microseconds(duration))
        while ContinuousClock.now < end {}
        return try await self.place(request, context)
    }

    /// Takes as long as the request's query says in `milliseconds`.
    func placeSlowly(_ request: Request, _ context: some RequestContext) async throws -> Response {
        let duration = try request.uri.queryParameters.require("milliseconds", as: Int.self)
        try await Task.sleep(for: .milliseconds(duration))
        self.executions.add(1, ordering: .relaxed)
        // The same clock as that of the program that asks.
        return try SlowOrder(ended: monotonicNanoseconds()).response(from: request, context: context)
    }
}

/// A handler whose bodies are as large as one likes.
final class Payloads: Sendable {
    private let executions = Atomic(0)

    /// How often the handler has run.
    var count: Int { self.executions.load(ordering: .relaxed) }

    func echo(_ request: Request, _ context: some RequestContext) async throws -> Response {
        let body = try await request.body.collect(upTo: 2 << 20)
        self.executions.add(1, ordering: .relaxed)
        return Response(
            status: .created, headers: [.contentType: "application/octet-stream"], body: .init(byteBuffer: body))
    }
}

private func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
