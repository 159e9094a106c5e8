import Metrics
import Synchronization

/// The metrics of one instance.
final class EngineMetrics: Sendable {
    struct RequestKind: Hashable {
        let mode: IdempotencyPolicy.Mode
        let outcome: RequestOutcome
    }

    let requests: [RequestKind: Counter]
    let executions: [Conclusion: Counter]
    let storeDurations: [Telemetry.StoreCall: Metrics.Timer]
    let storeErrors: [Telemetry.StoreCall: Counter]
    let takeovers = Counter(label: "idempotency.takeovers")
    let unstored = Counter(label: "idempotency.unstored")
    let renewals = Counter(label: "idempotency.lease.renewals")
    let losses = Counter(label: "idempotency.lease.losses")
    let running = SharedGauge("idempotency.running")
    let waiting = SharedGauge("idempotency.waiting")
    let pending = SharedGauge("idempotency.unstored.pending")
    let pendingAge = SharedGauge("idempotency.unstored.age", combinedBy: .maximum)
    let unknown = SharedGauge("idempotency.unknown_outcomes")
    let waitDuration = Metrics.Timer(label: "idempotency.wait.duration")

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
            uniqueKeysWithValues: Conclusion.allCases.map {
                ($0, Counter(label: "idempotency.executions", dimensions: [("conclusion", $0.rawValue)]))
            })
        self.storeDurations = Self.perCall { Timer(label: "idempotency.store.duration", dimensions: $0) }
        self.storeErrors = Self.perCall { Counter(label: "idempotency.store.errors", dimensions: $0) }
    }

    private static func perCall<Metric>(
        _ make: ([(String, String)]) -> Metric
    ) -> [Telemetry.StoreCall: Metric] {
        Dictionary(
            uniqueKeysWithValues: Telemetry.StoreCall.allCases.map { ($0, make([("operation", $0.rawValue)])) })
    }
}

/// A gauge that several instances record to: it shows all of them together, not the one that recorded last.
final class SharedGauge: Sendable {
    enum Combination {
        case sum
        case maximum
    }

    private let total: Total
    private let id: UInt64

    init(_ label: String, combinedBy combination: Combination = .sum) {
        self.total = Total.shared(label, combinedBy: combination)
        self.id = self.total.makeID()
    }

    deinit {
        self.total.record(nil, by: .instance(self.id))
    }

    func record(_ value: Int) {
        self.total.record(value, by: .instance(self.id))
    }

    /// Records a gauge of a store: instances that share the store count it once.
    func record(_ value: Int, of store: StoreIdentity) {
        self.total.record(value, by: .store(store))
    }
}

/// The values of a gauge by what they are about.
private final class Total: Sendable {
    enum Subject: Hashable {
        case instance(UInt64)
        case store(StoreIdentity)
    }

    private struct State {
        var lastID: UInt64 = 0
        var values: [Subject: Int] = [:]
    }

    /// The gauges of one metrics backend.
    private struct Backend {
        weak var factory: (any MetricsFactory & AnyObject)?
        var totals: [String: Total] = [:]
    }

    /// A backend that is a value type cannot be told from others of its type.
    private static let plainTotals = Mutex<[PlainGauge: Total]>([:])

    private struct PlainGauge: Hashable {
        let backend: ObjectIdentifier
        let label: String
    }

    private static let backends = Mutex<[ObjectIdentifier: Backend]>([:])

    private let gauge: Gauge
    private let combination: SharedGauge.Combination
    private let state = Mutex(State())

    static func shared(_ label: String, combinedBy combination: SharedGauge.Combination) -> Total {
        guard let factory = MetricsSystem.factory as? any MetricsFactory & AnyObject else {
            return self.sharedInPlainBackend(label, combinedBy: combination)
        }
        return self.backends.withLock { backends in
            // The address of a backend that is gone can be that of another one now.
            backends = backends.filter { $0.value.factory != nil }
            let id = ObjectIdentifier(factory)
            if let total = backends[id]?.totals[label] { return total }
            let total = Total(gauge: Gauge(label: label), combination: combination)
            backends[id, default: Backend(factory: factory)].totals[label] = total
            return total
        }
    }

    private static func sharedInPlainBackend(
        _ label: String,
        combinedBy combination: SharedGauge.Combination
    ) -> Total {
        let id = PlainGauge(backend: ObjectIdentifier(type(of: MetricsSystem.factory)), label: label)
        return self.plainTotals.withLock { totals in
            if let total = totals[id] { return total }
            let total = Total(gauge: Gauge(label: label), combination: combination)
            totals[id] = total
            return total
        }
    }

    private init(gauge: Gauge, combination: SharedGauge.Combination) {
        self.gauge = gauge
        self.combination = combination
    }

    func makeID() -> UInt64 {
        self.state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
    }

    func record(_ value: Int?, by subject: Subject) {
        self.state.withLock { state in
            state.values[subject] = value
            // Recorded under the lock, so that the last value wins.
            switch self.combination {
            case .sum: self.gauge.record(state.values.values.reduce(0, +))
            case .maximum: self.gauge.record(state.values.values.max() ?? 0)
            }
        }
    }
}
