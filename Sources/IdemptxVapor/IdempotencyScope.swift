#if Vapor
public import HTTPTypes
public import Idemptx
public import Vapor

/// Finds out whose key a request's key is.
public struct IdempotencyScope: Sendable {
    private let find: @Sendable (Request) async throws -> Scope

    /// Finds the scope by a function of your own.
    ///
    /// - Parameter find: Returns whose key it is. If it throws, the request does not run, unless the layer only observes.
    public init(_ find: @escaping @Sendable (Request) async throws -> Scope) {
        self.find = find
    }

    /// The authenticated caller: what to use wherever there is one.
    ///
    /// - Parameter id: Returns what identifies the caller for good. If it throws, the request does not run, unless the layer
    ///   only observes.
    /// - Returns: The scope.
    public static func principal(_ id: @escaping @Sendable (Request) async throws -> String) -> IdempotencyScope {
        IdempotencyScope { request in .principal(try await id(request)) }
    }

    /// The user whom an authenticator in front has put into `request.auth`; without one, the request gets 401.
    ///
    /// - Parameters:
    ///   - type: The type of the user.
    ///   - id: Returns what identifies the user for good.
    /// - Returns: The scope.
    public static func principal<User: Authenticatable & SendableMetatype>(
        _ type: User.Type, _ id: @escaping @Sendable (User) throws -> String
    ) -> IdempotencyScope {
        .principal { request in try id(try request.auth.require(User.self)) }
    }

    /// The credentials of the request: its `Authorization`, else the usual headers for API keys; see
    /// `Scope/credentials(in:)`.
    ///
    /// A retry with a **renewed token is another scope, and runs again**. Requests without credentials share one scope. A
    /// request that cannot be scoped, since it has only a cookie or is signed anew on each try, gets the problem
    /// `scope-unknown`.
    public static var credentials: IdempotencyScope {
        IdempotencyScope { request in try .credentials(in: HTTPFields(request.headers)) }
    }

    /// The values of some headers; see `Scope/headers(_:in:)`.
    ///
    /// - Parameter names: The headers that count.
    /// - Returns: The scope.
    public static func headers(_ names: [HTTPField.Name]) -> IdempotencyScope {
        IdempotencyScope { request in .headers(names, in: HTTPFields(request.headers)) }
    }

    /// The subject of a bearer token that a middleware in front has verified; see `Scope/jwtSubject(in:)`.
    public static var jwtSubject: IdempotencyScope {
        IdempotencyScope { request in try .jwtSubject(in: HTTPFields(request.headers)) }
    }

    /// For a program that has no callers to tell apart.
    public static var anonymous: IdempotencyScope {
        IdempotencyScope { _ in .anonymous }
    }

    /// One scope for everybody: a client that guesses another's key gets its response.
    public static var unscoped: IdempotencyScope {
        IdempotencyScope { _ in .unscoped }
    }

    func scope(of request: Request) async throws -> Scope {
        try await self.find(request)
    }
}
#endif
