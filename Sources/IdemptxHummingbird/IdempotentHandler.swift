import HTTPTypes
import Hummingbird
package import Idemptx
import Logging

/// Leads a request through the steps of the runner: what the middleware and the single route have in common.
struct IdempotentHandler<Context: RequestContext>: Sendable {
    /// Runs the operation.
    typealias Operation = (Request, Context) async throws -> Response

    let idempotency: Idempotency
    let scope: ScopeSource<Context>
    /// The rules for a request; `nil` for those of the runner.
    var policy: (@Sendable (Request, Context) -> IdempotencyPolicy)?

    func respond(to request: Request, context: Context, operation: Operation) async throws -> Response {
        switch self.idempotency.screen(request.head, under: self.policy?(request, context)) {
        case .pass: return try await operation(request, context)
        case .answer(let answer): return Response(answer)
        case .guarded(let guarded):
            return try await self.respond(to: guarded, request: request, context: context, operation: operation)
        }
    }

    private func respond(
        to guarded: GuardedRequest,
        request: Request,
        context: Context,
        operation: Operation
    ) async throws -> Response {
        let scope: Scope
        do {
            scope = try await self.scope.scope(of: request, context: context)
        } catch {
            guard guarded.isOnlyObserved else { throw error }
            return try await operation(request, context)
        }
        var (guarded, request) = (guarded, request)
        guard try await request.collectBody(into: &guarded) else {
            guard case .answer(let answer) = self.idempotency.refuseBody(of: guarded) else {
                return try await operation(request, context)
            }
            return Response(answer)
        }
        switch try await self.idempotency.admit(guarded, scope: scope) {
        case .pass: return try await operation(request, context)
        case .answer(let answer): return Response(answer)
        case .execute(let execution):
            return try await self.execute(execution, request: request, context: context, operation: operation)
        }
    }

    private func execute(
        _ execution: consuming Execution,
        request: Request,
        context: Context,
        operation: Operation
    ) async throws -> Response {
        let attempt = execution.context
        let context = context.carrying(attempt)
        let answer = { (error: any Error) in
            attempt.operationThrew(error)
            return Response(error, request: request, context: context)
        }
        let response: Response
        do {
            response = try await shielded {
                try await IdempotencyContext.$current.withValue(attempt) { try await operation(request, context) }
            } onStart: { cancel in
                attempt.onLeaseLoss(cancel)
            }
        } catch is CancellationError where execution.isCutOff {
            return Response(execution.cutOff())
        } catch {
            response = answer(error)
        }
        return await ResponseCapture.capture(response, by: execution, onFailure: answer)
    }
}

extension Response {
    /// The answer that Hummingbird makes of an error outside of the middleware chain, where nothing can record it.
    init(_ error: any Error, request: Request, context: some RequestContext) {
        if let error = error as? any HTTPResponseError,
            let response = try? error.response(from: request, context: context)
        {
            self = response
        } else {
            // Only the type: an error can quote anything that the request held.
            context.logger.error("A handler failed", metadata: ["error.type": "\(type(of: error))"])
            self.init(status: .internalServerError)
        }
    }

    package init(_ answer: HTTPAnswer) {
        self.init(
            status: answer.head.status, headers: answer.head.headerFields,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body)))
    }
}
