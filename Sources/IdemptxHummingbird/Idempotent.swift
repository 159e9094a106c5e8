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

/// Makes one route safe to retry, in a transaction that commits what it wrote together with the record of its response.
///
/// ```swift
/// router.post("orders", use: idempotent(in: store) { request, context, db in
///     let order = try await request.decode(as: Order.self, context: context)
///     try order.insert(db)
///     return order
/// })
/// ```
///
/// What the route writes through its transaction is there exactly once: after a crash before the commit nothing is, and a
/// retry runs the route again; after a later crash, a retry gets the response. The transaction is rolled back if the
/// route throws, or if its response is not kept.
///
/// Parameters that you leave out are as in `policy`.
///
/// - Parameters:
///   - store: Where records are kept, beside the application's own data.
///   - keyTTL: How long a response is kept.
///   - waitTimeout: How long a request waits for another with the same key that is running; zero responds with 409 at once.
///   - validateSignature: Whether a key that was used for another request is refused.
///   - required: Whether a request without a key is refused.
///   - policy: Everything else.
///   - scope: Whose key a request's key is.
///   - handler: The route. It must not end the transaction.
/// - Returns: A route handler.
public func idempotent<Context: RequestContext & Sendable, Store: TransactionJoining>(
    in store: Store,
    keyTTL: Duration? = nil,
    waitTimeout: Duration? = nil,
    validateSignature: Bool? = nil,
    required: Bool? = nil,
    policy: IdempotencyPolicy = IdempotencyPolicy(),
    scope: IdempotencyScope<Context> = .credentials,
    handler: @escaping @Sendable (Request, Context, Store.Transaction) async throws -> some ResponseGenerator
) -> @Sendable (Request, Context) async throws -> Response {
    let policy = policy.with(
        keyTTL: keyTTL, waitTimeout: waitTimeout, validateSignature: validateSignature, required: required)
    return idempotent(by: Idempotency(store: store, policy: policy), in: store, scope: scope, handler: handler)
}

/// Makes one route safe to retry in a transaction, by an engine that is used elsewhere, too.
///
/// - Parameters:
///   - idempotency: The engine.
///   - store: The store of the engine.
///   - scope: Whose key a request's key is.
///   - handler: The route. It must not end the transaction.
/// - Returns: A route handler.
public func idempotent<Context: RequestContext & Sendable, Store: TransactionJoining>(
    by idempotency: Idempotency,
    in store: Store,
    scope: IdempotencyScope<Context> = .credentials,
    handler: @escaping @Sendable (Request, Context, Store.Transaction) async throws -> some ResponseGenerator
) -> @Sendable (Request, Context) async throws -> Response {
    { request, context in
        try await idempotency.respond(
            to: request, through: HummingbirdAdapter(context: context),
            scope: { try await scope.scope(of: $0, context: context) },
            in: store,
            operation: { request, attempt, transaction in
                let context = context.carrying(attempt)
                return try await handler(request, context, transaction).response(from: request, context: context)
            })
    }
}
