public import Idemptx

/// By which rules each request is made idempotent.
public struct ProxyRules: Sendable {
    /// The rules for some paths: the first one that matches holds.
    public var routes: [RouteRule]

    /// The policy for all other paths.
    public var standard: IdempotencyPolicy

    /// Creates a set of rules.
    ///
    /// - Parameters:
    ///   - routes: The rules for some paths: the first one that matches holds.
    ///   - standard: The policy for all other paths. Unless you say otherwise, a request without a key passes: the proxy
    ///     fronts an API that it does not own.
    public init(
        routes: [RouteRule] = [],
        standard: IdempotencyPolicy = IdempotencyPolicy { $0.required = false }
    ) {
        self.routes = routes
        self.standard = standard
    }
}

extension ProxyRules {
    /// The largest ``IdempotencyPolicy/bodyBudget`` of all rules, in bytes.
    var largestBodyBudget: Int {
        self.routes.map(\.policy.bodyBudget).reduce(self.standard.bodyBudget, max)
    }
}
