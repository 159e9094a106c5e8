public import Hummingbird
public import Idemptx

/// Makes the routes behind it safe to retry.
///
/// ```swift
/// router.group("orders")
///     .add(middleware: IdempotencyMiddleware(store: store))
///     .post { request, context in try await placeOrder(request, context) }
/// ```
///
/// Put it **behind** authentication, rate limiting, CORS and compression, and **in front of** whatever turns errors into
/// responses: it stores the response as it sees it. An error that reaches it becomes the response that Hummingbird would
/// make of it, and goes on as a response.
public struct IdempotencyMiddleware<Context: RequestContext>: RouterMiddleware {
    /// The engine behind the middleware, such as for switching its mode or for draining it.
    public let idempotency: Idempotency

    private let scope: IdempotencyScope<Context>
    private let policy: (@Sendable (Request, Context) -> IdempotencyPolicy)?

    /// Creates a middleware over a store.
    ///
    /// Parameters that you leave out are as in `policy`.
    ///
    /// - Parameters:
    ///   - store: Where records are kept.
    ///   - keyTTL: How long a response is kept.
    ///   - waitTimeout: How long a request waits for another with the same key that is running; zero responds with 409 at
    ///     once.
    ///   - validateSignature: Whether a key that was used for another request is refused.
    ///   - required: Whether a request without a key is refused.
    ///   - policy: Everything else.
    ///   - scope: Whose key a request's key is.
    public init(
        store: any IdempotencyStore,
        keyTTL: Duration? = nil,
        waitTimeout: Duration? = nil,
        validateSignature: Bool? = nil,
        required: Bool? = nil,
        policy: IdempotencyPolicy = IdempotencyPolicy(),
        scope: IdempotencyScope<Context> = .credentials
    ) {
        let policy = policy.with(
            keyTTL: keyTTL, waitTimeout: waitTimeout, validateSignature: validateSignature, required: required)
        self.init(idempotency: Idempotency(store: store, policy: policy), scope: scope)
    }

    /// Creates a middleware over an engine that is used elsewhere, too.
    ///
    /// - Parameters:
    ///   - idempotency: The engine.
    ///   - scope: Whose key a request's key is.
    ///   - policy: Returns the policy for a request, which holds to its end; `nil` for that of the engine.
    public init(
        idempotency: Idempotency,
        scope: IdempotencyScope<Context> = .credentials,
        policy: (@Sendable (Request, Context) -> IdempotencyPolicy)? = nil
    ) {
        self.idempotency = idempotency
        self.scope = scope
        self.policy = policy
    }

    /// Responds with a replay or a problem, or passes the request on.
    public func handle(
        _ request: Request,
        context: Context,
        // Hummingbird is built without nonisolated(nonsending) by default, so that its closure runs elsewhere.
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        try await self.idempotency.respond(
            to: request, through: HummingbirdAdapter(context: context),
            scope: { try await self.scope.scope(of: $0, context: context) },
            policy: self.policy?(request, context),
            operation: { request, attempt in try await next(request, context.carrying(attempt)) })
    }
}

extension IdempotencyPolicy {
    func with(
        keyTTL: Duration?,
        waitTimeout: Duration?,
        validateSignature: Bool?,
        required: Bool?
    ) -> IdempotencyPolicy {
        var policy = self
        policy.keyTTL = keyTTL ?? policy.keyTTL
        policy.waitTimeout = waitTimeout ?? policy.waitTimeout
        policy.validateSignature = validateSignature ?? policy.validateSignature
        policy.required = required ?? policy.required
        return policy
    }
}
