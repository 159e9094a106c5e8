public import Hummingbird
public import Idemptx

/// How requests are made idempotent.
public struct IdempotencyConfiguration<Context: RequestContext>: Sendable {
    /// Whose key a request's key is.
    public var scope: ScopeSource<Context>

    /// The rules.
    public var policy: IdempotencyPolicy

    /// Creates a configuration.
    ///
    /// - Parameters:
    ///   - scope: Whose key a request's key is.
    ///   - policy: The rules.
    public init(scope: ScopeSource<Context> = .authorization, policy: IdempotencyPolicy = IdempotencyPolicy()) {
        self.scope = scope
        self.policy = policy
    }
}
