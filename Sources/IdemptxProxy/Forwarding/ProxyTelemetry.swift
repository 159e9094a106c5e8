import HTTPTypes
import Metrics

/// The metrics of the proxy, apart from those of its runner.
struct ProxyTelemetry: Sendable {
    private let answers: [HTTPResponse.Status.Kind: Counter]
    private let failures: [ProxyProblem.Kind: Counter]
    private let upstreamDuration = Metrics.Timer(label: "proxy.upstream.duration")

    init() {
        let kinds: [(HTTPResponse.Status.Kind, String)] = [
            (.informational, "1xx"), (.successful, "2xx"), (.redirection, "3xx"), (.clientError, "4xx"),
            (.serverError, "5xx"),
        ]
        self.answers = Dictionary(
            uniqueKeysWithValues: kinds.map { kind, name in
                (kind, Counter(label: "proxy.answers", dimensions: [("status", name)]))
            })
        let failures = [ProxyProblem.Kind.upstreamUnreachable, .upstreamTimeout, .upstreamFailed]
        self.failures = Dictionary(
            uniqueKeysWithValues: failures.map { kind in
                (kind, Counter(label: "proxy.upstream.failures", dimensions: [("kind", kind.rawValue)]))
            })
    }

    func answered(_ status: HTTPResponse.Status) {
        self.answers[status.kind]?.increment()
    }

    func upstreamFailed(_ kind: ProxyProblem.Kind) {
        self.failures[kind]?.increment()
    }

    /// Measures the time to the head of the answer.
    func upstreamAnswers<Answer>(_ send: () async throws -> Answer) async rethrows -> Answer {
        let start = ContinuousClock.now
        let answer = try await send()
        self.upstreamDuration.record(duration: start.duration(to: .now))
        return answer
    }
}
