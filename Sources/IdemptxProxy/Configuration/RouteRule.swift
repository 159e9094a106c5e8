public import Idemptx

/// The policy for some paths.
///
/// ```swift
/// var policy = IdempotencyPolicy { $0.required = true }
/// policy.keySource = .header(.init("X-GitHub-Delivery")!)
/// let rule = RouteRule(path: try PathPattern("/webhooks/github"), policy: policy)
/// ```
public struct RouteRule: Sendable {
    /// The paths.
    public var path: PathPattern

    /// The policy for them: methods, key source, whether a key is required, how long things last, and all the others.
    public var policy: IdempotencyPolicy

    /// Creates a rule.
    ///
    /// - Parameters:
    ///   - path: The paths.
    ///   - policy: The policy for them.
    public init(path: PathPattern, policy: IdempotencyPolicy) {
        self.path = path
        self.policy = policy
    }
}
