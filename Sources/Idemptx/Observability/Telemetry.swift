import Logging
import Metrics
import Tracing

/// The metrics, spans and log lines of a runner.
///
/// None of them holds a key, an identity or a body: records are named by the first bytes of their storage key, a
/// digest.
struct Telemetry: Sendable {
    /// The calls of the store contract, as they are named in metrics and spans.
    enum StoreCall: String, CaseIterable, Sendable {
        case claim
        case renew
        case complete
        case release
    }

    private struct RequestKind: Hashable {
        let mode: IdempotencyPolicy.Mode
        let outcome: RequestOutcome
    }

    private let requests: [RequestKind: Counter]
    private let storeDurations: [StoreCall: Metrics.Timer]
    private let storeErrors: [StoreCall: Counter]
    private let executions: [ExecutionEnding: Counter]
    private let takeovers = Counter(label: "idempotency.takeovers")
    private let unstored = Counter(label: "idempotency.unstored")
    private let renewals = Counter(label: "idempotency.lease.renewals")
    private let losses = Counter(label: "idempotency.lease.losses")
    private let running = Gauge(label: "idempotency.running")
    private let waiting = Gauge(label: "idempotency.waiting")
    private let waitDuration = Metrics.Timer(label: "idempotency.wait.duration")

    init() {
        var requests: [RequestKind: Counter] = [:]
        for mode in [IdempotencyPolicy.Mode.enforce, .observe] {
            for outcome in RequestOutcome.allCases {
                requests[RequestKind(mode: mode, outcome: outcome)] = Counter(
                    label: "idempotency.requests",
                    dimensions: [("outcome", outcome.rawValue), ("mode", mode.rawValue)])
            }
        }
        self.requests = requests
        self.executions = Dictionary(
            uniqueKeysWithValues: ExecutionEnding.allCases.map {
                ($0, Counter(label: "idempotency.executions", dimensions: [("ending", $0.rawValue)]))
            })
        self.storeDurations = Self.perCall { Timer(label: "idempotency.store.duration", dimensions: $0) }
        self.storeErrors = Self.perCall { Counter(label: "idempotency.store.errors", dimensions: $0) }
    }

    private static func perCall<Metric>(_ make: ([(String, String)]) -> Metric) -> [StoreCall: Metric] {
        Dictionary(uniqueKeysWithValues: StoreCall.allCases.map { ($0, make([("operation", $0.rawValue)])) })
    }

    // MARK: Requests

    /// Counts what was decided about a request.
    ///
    /// - Parameters:
    ///   - outcome: What was decided.
    ///   - mode: The mode it was decided in.
    ///   - key: `nil` if the request was turned away before its record was known.
    ///   - attempt: The number of the attempt, if one runs under a lease.
    func decided(_ outcome: RequestOutcome, mode: IdempotencyPolicy.Mode, key: StorageKey? = nil, attempt: Int? = nil) {
        self.requests[RequestKind(mode: mode, outcome: outcome)]?.increment()
        if let attempt, attempt > 1 { self.takeovers.increment() }
        Logger.current.debug(
            "Idempotency decided on a request",
            metadata: {
                var metadata: Logger.Metadata = [
                    "idempotency.outcome": "\(outcome.rawValue)", "idempotency.mode": "\(mode.rawValue)",
                ]
                if let key { metadata["idempotency.record"] = "\(Self.name(of: key))" }
                if let attempt { metadata["idempotency.attempt"] = "\(attempt)" }
                return metadata
            }())
    }

    // MARK: Leases

    func recordRunning(_ count: Int) {
        self.running.record(count)
    }

    func leaseRenewed() {
        self.renewals.increment()
    }

    func leaseLost(_ claim: borrowing Claim) {
        self.losses.increment()
        Logger.current.warning(
            "A running attempt lost its lease; its outcome will not be stored",
            metadata: [
                "idempotency.record": "\(Self.name(of: claim.key))",
                "idempotency.attempt": "\(claim.attempt)",
            ])
    }

    // MARK: Outcomes

    func executed(_ ending: ExecutionEnding) {
        self.executions[ending]?.increment()
    }

    func outcomeNotStored(_ claim: borrowing Claim, reason: String) {
        self.unstored.increment()
        Logger.current.error(
            "An operation ran, but its outcome is not stored: a retry may run it again",
            metadata: [
                "idempotency.record": "\(Self.name(of: claim.key))",
                "idempotency.attempt": "\(claim.attempt)",
                "idempotency.reason": "\(reason)",
            ])
    }

    // MARK: Waiting

    func recordWaiting(_ count: Int) {
        self.waiting.record(count)
    }

    func waited<Answer>(_ wait: () async throws -> Answer) async rethrows -> Answer {
        let start = ContinuousClock.now
        defer { self.waitDuration.record(duration: start.duration(to: .now)) }
        return try await withSpan("idempotency.wait") { _ in try await wait() }
    }

    // MARK: Store

    /// Measures one call to the store, in a span of its own.
    ///
    /// An error of a store that is not ours might quote what it was given, so it is wrapped before anybody describes it.
    func storeCall<Answer>(
        _ call: StoreCall,
        _ operation: () async throws -> Answer
    ) async throws(StoreError) -> Answer {
        let start = ContinuousClock.now
        defer { self.storeDurations[call]?.record(duration: start.duration(to: .now)) }
        do {
            return try await withSpan("idempotency.\(call.rawValue)", ofKind: .client) { span in
                do {
                    return try await operation()
                } catch {
                    span.setStatus(.init(code: .error))
                    throw StoreError(wrapping: error)
                }
            }
        } catch {
            let error = StoreError(wrapping: error)
            self.storeErrors[call]?.increment()
            Logger.current.info(
                "A call to the idempotency store failed",
                metadata: ["idempotency.operation": "\(call.rawValue)", "idempotency.error": "\(error)"])
            throw error
        }
    }

    /// The first eight bytes of a storage key, enough to find its lines.
    private static func name(of key: StorageKey) -> Substring {
        key.description.prefix(16)
    }
}
