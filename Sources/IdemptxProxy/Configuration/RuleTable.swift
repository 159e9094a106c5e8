import HTTPTypes
import Idemptx

/// Rules in the form in which requests are led through them: each policy is made ready once.
final class RuleTable: Sendable {
    let rules: ProxyRules
    let standard: SharedPolicy
    private let routes: [(path: PathPattern, policy: SharedPolicy)]

    init(_ rules: ProxyRules) {
        self.rules = rules
        self.standard = SharedPolicy(rules.standard)
        self.routes = rules.routes.map { ($0.path, SharedPolicy($0.policy, route: $0.path.description)) }
    }

    /// The rules for a request.
    ///
    /// - Returns: `nil` if an upstream that reads the path otherwise might do what stricter rules are for.
    func policy(for target: String, method: String) -> SharedPolicy? {
        guard !self.routes.isEmpty else { return self.standard }
        let path = target.path
        let policy = self.policy(for: path, read: .usual)
        guard !PathReading.isPlain(path) else { return policy }
        let strictness = policy.strictness(for: method)
        let isAmbiguous = PathReading.others.contains {
            self.policy(for: path, read: $0).strictness(for: method) > strictness
        }
        return isAmbiguous ? nil : policy
    }

    private func policy(for path: Substring, read reading: PathReading) -> SharedPolicy {
        guard let segments = reading.segments(of: path) else { return self.standard }
        return self.routes.first { $0.path.matches(segments) }?.policy ?? self.standard
    }
}

extension SharedPolicy {
    /// How much the policy asks of requests with a method: 0 for nothing, 1 if a key counts, 2 if there has to be one.
    fileprivate func strictness(for method: String) -> Int {
        guard self.mode == .enforce, self.methods.contains(where: { $0.rawValue == method }) else { return 0 }
        return self.required ? 2 : 1
    }
}
