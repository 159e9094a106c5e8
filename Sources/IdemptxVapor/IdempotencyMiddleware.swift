#if Vapor
public import Idemptx
public import Vapor

/// Makes the routes behind it safe to retry.
///
/// ```swift
/// let orders = app.grouped(UserToken.authenticator(), IdempotencyMiddleware(store: store, scope: .principal(User.self) { $0.id }))
/// orders.post("orders") { request in try await placeOrder(request) }
/// ```
///
/// Put it **behind** authentication, rate limiting and CORS, and **in front of** whatever turns errors into responses, but for
/// Vapor's own `ErrorMiddleware`: it stores the response as it sees it. An error that reaches it becomes a response, and goes on
/// as one.
public struct IdempotencyMiddleware: AsyncMiddleware {
    /// The engine behind the middleware, such as for switching its mode or for draining it.
    public let idempotency: Idempotency

    private let scope: IdempotencyScope
    private let policy: (@Sendable (Request) -> IdempotencyPolicy)?
    private let errorResponse: @Sendable (Request, any Error) -> Response

    /// Creates a middleware over a store.
    ///
    /// - Parameters:
    ///   - store: Where records are kept.
    ///   - policy: The rules.
    ///   - scope: Whose key a request's key is.
    public init(
        store: any IdempotencyStore,
        policy: IdempotencyPolicy = IdempotencyPolicy(),
        scope: IdempotencyScope = .credentials
    ) {
        self.init(idempotency: Idempotency(store: store, policy: policy), scope: scope)
    }

    /// Creates a middleware over an engine that is used elsewhere, too.
    ///
    /// - Parameters:
    ///   - idempotency: The engine.
    ///   - scope: Whose key a request's key is.
    ///   - policy: Returns the policy for a request, which holds to its end; `nil` for that of the engine.
    ///   - errorResponse: Returns the response to an error that a handler has thrown, as an `ErrorMiddleware` of your own
    ///     does; that of Vapor's if you leave it out.
    public init(
        idempotency: Idempotency,
        scope: IdempotencyScope = .credentials,
        policy: (@Sendable (Request) -> IdempotencyPolicy)? = nil,
        errorResponse: (@Sendable (Request, any Error) -> Response)? = nil
    ) {
        self.idempotency = idempotency
        self.scope = scope
        self.policy = policy
        self.errorResponse = errorResponse ?? { VaporAdapter.defaultResponse(to: $1, for: $0) }
    }

    /// Responds with a replay or a problem, or passes the request on.
    @concurrent
    public func respond(to request: Request, chainingTo next: any AsyncResponder) async throws -> Response {
        try await self.idempotency.respond(
            to: request,
            through: VaporAdapter(eventLoop: request.eventLoop, errorResponse: self.errorResponse),
            scope: { try await self.scope.scope(of: $0) },
            policy: self.policy?(request),
            operation: { request, attempt in
                // Vapor cannot restore a stream that was partly read: pass on none of it rather than a part.
                if request.hasLostItsBody { throw Abort(.payloadTooLarge) }
                request.idempotency = attempt
                return try await next.respond(to: request)
            })
    }
}

extension Request {
    private struct AttemptKey: Vapor.StorageKey {
        typealias Value = IdempotencyContext
    }

    /// The attempt that the request is; `nil` if the request is not guarded.
    ///
    /// `IdempotencyContext.current` says the same in asynchronous handlers.
    public internal(set) var idempotency: IdempotencyContext? {
        get { self.storage[AttemptKey.self] }
        set { self.storage[AttemptKey.self] = newValue }
    }
}
#endif
