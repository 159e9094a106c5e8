import Idemptx

/// Rules in the form in which requests are led through them: each policy is made ready once.
final class RuleTable: Sendable {
    let rules: ProxyRules
    let standard: SharedPolicy
    private let routes: [(path: PathPattern, policy: SharedPolicy)]

    init(_ rules: ProxyRules) {
        self.rules = rules
        self.standard = SharedPolicy(rules.standard)
        self.routes = rules.routes.map { ($0.path, SharedPolicy($0.policy)) }
    }

    /// The rules for a request.
    func policy(for target: String) -> SharedPolicy {
        self.routes.first { $0.path.matches(target) }?.policy ?? self.standard
    }
}
