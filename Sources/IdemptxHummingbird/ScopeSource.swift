public import HTTPTypes
public import Hummingbird
import Idemptx

/// Where the scope of a request comes from.
public struct ScopeSource<Context: RequestContext>: Sendable {
    private let resolve: @Sendable (Request, Context) async throws -> Scope

    private init(_ resolve: @escaping @Sendable (Request, Context) async throws -> Scope) {
        self.resolve = resolve
    }

    /// The authenticated caller: what to use wherever there is one.
    ///
    /// - Parameter id: Returns what identifies the caller for good. If it throws, the request is not executed.
    /// - Returns: The source.
    public static func principal(
        _ id: @escaping @Sendable (Request, Context) async throws -> String
    ) -> ScopeSource {
        ScopeSource { request, context in .principal(try await id(request, context)) }
    }

    /// The credentials of the request: see `Scope/authorization(in:)`.
    ///
    /// A retry with a **renewed token is another scope, and runs again**. Requests without credentials share one.
    public static var authorization: ScopeSource {
        ScopeSource { request, _ in .authorization(in: request.headers) }
    }

    /// The values of some headers: see `Scope/headers(_:in:)`.
    ///
    /// - Parameter names: The headers that count.
    /// - Returns: The source.
    public static func headers(_ names: [HTTPField.Name]) -> ScopeSource {
        ScopeSource { request, _ in .headers(names, in: request.headers) }
    }

    /// The subject of a bearer token that a middleware in front has verified: see `Scope/jwtSubject(in:)`.
    public static var jwtSubject: ScopeSource {
        ScopeSource { request, _ in try .jwtSubject(in: request.headers) }
    }

    /// One scope for everybody: a client that guesses another's key gets its answer.
    public static var unscoped: ScopeSource {
        ScopeSource { _, _ in .unscoped }
    }

    func scope(of request: Request, context: Context) async throws -> Scope {
        try await self.resolve(request, context)
    }
}
