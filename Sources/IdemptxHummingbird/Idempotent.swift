public import Hummingbird
public import Idemptx

/// Makes one route safe to retry.
///
/// ```swift
/// router.post("orders", use: idempotent(store: store, keyTTL: .seconds(60), waitTimeout: .seconds(3)) { request, context in
///     try await placeOrder(request, context)
/// })
/// ```
///
/// Parameters that you leave out are as in `policy`. For a kill switch, or to share an engine between routes, make an `Idempotency` and
/// use ``idempotent(by:scope:handler:)``.
///
/// - Parameters:
///   - store: Where records are kept.
///   - keyTTL: How long a response is kept.
///   - waitTimeout: How long a request waits for another with the same key that is running; zero responds with 409 at once.
///   - validateSignature: Whether a key that was used for another request is refused.
///   - required: Whether a request without a key is refused.
///   - policy: Everything else.
///   - scope: Whose key a request's key is.
///   - handler: The route. Whatever it returns is stored as the response that it generates.
/// - Returns: A route handler.
public func idempotent<Context: RequestContext & Sendable>(
    store: any IdempotencyStore,
    keyTTL: Duration? = nil,
    waitTimeout: Duration? = nil,
    validateSignature: Bool? = nil,
    required: Bool? = nil,
    policy: IdempotencyPolicy = IdempotencyPolicy(),
    scope: IdempotencyScope<Context> = .credentials,
    handler: @escaping @Sendable (Request, Context) async throws -> some ResponseGenerator
) -> @Sendable (Request, Context) async throws -> Response {
    let policy = policy.with(
        keyTTL: keyTTL, waitTimeout: waitTimeout, validateSignature: validateSignature, required: required)
    return idempotent(by: Idempotency(store: store, policy: policy), scope: scope, handler: handler)
}

/// Makes one route safe to retry, by an engine that is used elsewhere, too.
///
/// ```swift
/// let idempotency = Idempotency(store: store)
/// router.post("orders", use: idempotent(by: idempotency) { request, context in try await placeOrder(request, context) })
/// idempotency.policy.mode = .off   // the kill switch
/// ```
///
/// - Parameters:
///   - idempotency: The engine.
///   - scope: Whose key a request's key is.
///   - handler: The route. Whatever it returns is stored as the response that it generates.
/// - Returns: A route handler.
public func idempotent<Context: RequestContext & Sendable>(
    by idempotency: Idempotency,
    scope: IdempotencyScope<Context> = .credentials,
    handler: @escaping @Sendable (Request, Context) async throws -> some ResponseGenerator
) -> @Sendable (Request, Context) async throws -> Response {
    { request, context in
        try await idempotency.respond(
            to: request, through: HummingbirdAdapter(context: context),
            scope: { try await scope.scope(of: $0, context: context) },
            operation: { request, attempt in
                let context = context.carrying(attempt)
                return try await handler(request, context).response(from: request, context: context)
            })
    }
}
