public import HTTPTypes
public import Hummingbird
public import Idemptx

/// Finds out whose key a request's key is.
public struct IdempotencyScope<Context: RequestContext>: Sendable {
    private let find: @Sendable (Request, Context) async throws -> Scope

    /// Finds the scope by a function of your own.
    ///
    /// - Parameter find: Returns whose key it is. If it throws, the request does not run, unless the
    ///   layer only observes.
    public init(_ find: @escaping @Sendable (Request, Context) async throws -> Scope) {
        self.find = find
    }

    /// The authenticated caller: what to use wherever there is one.
    ///
    /// - Parameter id: Returns what identifies the caller for good. If it throws, the request does not run, unless the
    ///   layer only observes.
    /// - Returns: The scope.
    public static func principal(
        _ id: @escaping @Sendable (Request, Context) async throws -> String
    ) -> IdempotencyScope {
        IdempotencyScope { request, context in .principal(try await id(request, context)) }
    }

    /// The credentials of the request: its `Authorization`, else the usual headers for API keys; see
    /// `Scope/credentials(in:)`.
    ///
    /// A retry with a **renewed token is another scope, and runs again**. Requests without credentials share one scope. A
    /// request that cannot be scoped, since it has only a cookie or is signed anew on each try, gets the problem
    /// `scope-unknown`.
    public static var credentials: IdempotencyScope {
        IdempotencyScope { request, _ in try .credentials(in: request.headers) }
    }

    /// The `Authorization` header, whatever it holds; see `Scope/authorization(in:)`.
    public static var authorization: IdempotencyScope {
        IdempotencyScope { request, _ in .authorization(in: request.headers) }
    }

    /// The values of some headers; see `Scope/headers(_:in:)`.
    ///
    /// - Parameter names: The headers that count.
    /// - Returns: The scope.
    public static func headers(_ names: [HTTPField.Name]) -> IdempotencyScope {
        IdempotencyScope { request, _ in .headers(names, in: request.headers) }
    }

    /// The subject of a bearer token that a middleware in front has verified; see `Scope/jwtSubject(in:)`.
    public static var jwtSubject: IdempotencyScope {
        IdempotencyScope { request, _ in try .jwtSubject(in: request.headers) }
    }

    /// For a program that has no callers to tell apart.
    public static var anonymous: IdempotencyScope {
        IdempotencyScope { _, _ in .anonymous }
    }

    /// One scope for everybody: a client that guesses another's key gets its response.
    public static var unscoped: IdempotencyScope {
        IdempotencyScope { _, _ in .unscoped }
    }

    func scope(of request: Request, context: Context) async throws -> Scope {
        try await self.find(request, context)
    }
}
