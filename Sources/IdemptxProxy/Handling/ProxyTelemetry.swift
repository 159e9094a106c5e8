import HTTPProxy
import Metrics
import NIOCore

/// The metrics of the proxy, apart from those of the layer.
struct ProxyTelemetry: Sendable {
    /// By the first digit of the status.
    private let responses: [Counter]
    private let failures: [ProxyFailure: Counter]
    private let upstreamDuration = Metrics.Timer(label: "proxy.upstream.duration")

    init() {
        self.responses = (1...5).map { Counter(label: "proxy.responses", dimensions: [("status", "\($0)xx")]) }
        let failures = [ProxyFailure.upstreamUnreachable, .upstreamTimeout, .upstreamFailed]
        self.failures = Dictionary(
            uniqueKeysWithValues: failures.map { failure in
                (failure, Counter(label: "proxy.upstream.failures", dimensions: [("kind", failure.name)]))
            })
    }

    func responded(_ status: Int) {
        guard (100..<600).contains(status) else { return }
        self.responses[status / 100 - 1].increment()
    }

    /// The head of a response is here, so long after the request was sent.
    func upstreamResponded(after duration: TimeAmount) {
        self.upstreamDuration.recordNanoseconds(duration.nanoseconds)
    }

    func upstreamFailed(_ failure: ProxyFailure) {
        self.failures[failure]?.increment()
    }
}
