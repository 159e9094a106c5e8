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
/// answers: it stores the answer as it sees it. An error that reaches it becomes the answer that Hummingbird would make
/// of it, and goes on as a response.
public struct IdempotencyMiddleware<Context: RequestContext>: RouterMiddleware {
    /// The runner behind the middleware, such as for switching its mode.
    public var idempotency: Idempotency { self.handler.idempotency }

    private let handler: IdempotentHandler<Context>

    /// Creates a middleware with the default rules.
    ///
    /// - Parameter store: Where records are kept.
    public init(store: any IdempotencyStore) {
        self.init(store: store, configuration: IdempotencyConfiguration())
    }

    /// Creates a middleware.
    ///
    /// - Parameters:
    ///   - store: Where records are kept.
    ///   - configuration: The rules.
    public init(store: any IdempotencyStore, configuration: IdempotencyConfiguration<Context>) {
        self.init(
            idempotency: Idempotency(store: store, policy: configuration.policy), scope: configuration.scope)
    }

    /// Creates a middleware over a runner that is used elsewhere, too.
    ///
    /// - Parameters:
    ///   - idempotency: The runner.
    ///   - scope: Whose key a request's key is.
    public init(idempotency: Idempotency, scope: ScopeSource<Context> = .authorization) {
        self.handler = IdempotentHandler(idempotency: idempotency, scope: scope)
    }

    /// Creates a middleware that chooses its rules anew for each request.
    ///
    /// - Parameters:
    ///   - idempotency: The runner.
    ///   - scope: Whose key a request's key is.
    ///   - policy: Returns the rules for a request, which hold to its end, instead of those of the runner.
    public init(
        idempotency: Idempotency,
        scope: ScopeSource<Context>,
        policy: @escaping @Sendable (Request, Context) -> IdempotencyPolicy
    ) {
        self.handler = IdempotentHandler(idempotency: idempotency, scope: scope, policy: policy)
    }

    /// Answers a request with a replay or a problem, or passes it on.
    public func handle(
        _ request: Request,
        context: Context,
        // Hummingbird is built without nonisolated(nonsending) by default, so that its closure runs elsewhere.
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        try await self.handler.respond(to: request, context: context) { request, context in
            try await next(request, context)
        }
    }
}
