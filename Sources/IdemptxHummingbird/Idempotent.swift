public import Hummingbird
public import Idemptx

/// Makes one route safe to retry.
///
/// ```swift
/// router.post("orders", use: idempotent(store: store) { request, context in
///     try await placeOrder(request, context)
/// })
/// ```
///
/// - Parameters:
///   - store: Where records are kept.
///   - configuration: The rules.
///   - handler: The route. Whatever it returns is stored as the response that it generates.
/// - Returns: A route handler.
public func idempotent<Context: RequestContext & Sendable>(
    store: any IdempotencyStore,
    configuration: IdempotencyConfiguration<Context> = IdempotencyConfiguration(),
    handler: @escaping @Sendable (Request, Context) async throws -> some ResponseGenerator
) -> @Sendable (Request, Context) async throws -> Response {
    idempotent(
        by: Idempotency(store: store, policy: configuration.policy), scope: configuration.scope, handler: handler)
}

/// Makes one route safe to retry, by a runner that is used elsewhere, too.
///
/// - Parameters:
///   - idempotency: The runner.
///   - scope: Whose key a request's key is.
///   - handler: The route. Whatever it returns is stored as the response that it generates.
/// - Returns: A route handler.
public func idempotent<Context: RequestContext & Sendable>(
    by idempotency: Idempotency,
    scope: ScopeSource<Context> = .authorization,
    handler: @escaping @Sendable (Request, Context) async throws -> some ResponseGenerator
) -> @Sendable (Request, Context) async throws -> Response {
    let responder = IdempotentHandler(idempotency: idempotency, scope: scope)
    return { request, context in
        try await responder.respond(to: request, context: context) { request, context in
            try await handler(request, context).response(from: request, context: context)
        }
    }
}
