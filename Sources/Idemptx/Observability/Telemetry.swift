import Instrumentation
import Logging
import Metrics
import Synchronization
import Tracing

/// The metrics, spans and log lines of the engine.
///
/// None of them holds a key, an identity or a body: records are named by the first bytes of their storage key, a digest.
/// Without a metrics backend, nothing is measured.
struct Telemetry: Sendable {
    /// The calls of the store contract, as they are named in metrics and spans.
    enum StoreCall: String, CaseIterable, Sendable {
        case claim
        case renew
        case complete
        case release

        fileprivate var spanName: String { "idempotency.\(self.rawValue)" }
    }

    /// `nil` if the metrics system has no backend.
    private let metrics: EngineMetrics?

    init() {
        self.metrics = MetricsSystem.factory is NOOPMetricsHandler ? nil : EngineMetrics()
    }

    /// Whether anybody listens to metrics.
    var isMeasured: Bool { self.metrics != nil }

    private var isTraced: Bool { !(InstrumentationSystem.instrument is NoOpInstrument) }

    // MARK: Requests

    /// Counts what a claim came to.
    func decided(_ result: ClaimResult<Lease>, mode: IdempotencyPolicy.Mode, key: StorageKey) {
        var attempt: Int?
        if case .granted(let lease) = result { attempt = lease.claim.attempt }
        self.decided(RequestOutcome(result), mode: mode, key: key, attempt: attempt)
    }

    /// Counts what was decided about a request.
    ///
    /// - Parameters:
    ///   - outcome: What was decided.
    ///   - mode: The mode it was decided in.
    ///   - key: `nil` if the request was refused before its record was known.
    ///   - attempt: The number of the attempt, if one runs under a lease.
    func decided(_ outcome: RequestOutcome, mode: IdempotencyPolicy.Mode, key: StorageKey? = nil, attempt: Int? = nil) {
        if let metrics {
            metrics.requests[EngineMetrics.RequestKind(mode: mode, outcome: outcome)]?.increment()
            if let attempt, attempt > 1 { metrics.takeovers.increment() }
        }
        let logger = Logger.current
        guard logger.logLevel <= .debug else { return }
        var metadata: Logger.Metadata = [
            "idempotency.outcome": "\(outcome.rawValue)", "idempotency.mode": "\(mode.rawValue)",
        ]
        if let key { metadata["idempotency.record"] = "\(Self.name(of: key))" }
        if let attempt { metadata["idempotency.attempt"] = "\(attempt)" }
        logger.debug("Idempotency decided on a request", metadata: metadata)
    }

    /// Says once for each route that requests pass unguarded because their bodies cannot hold a key.
    func keyHasNoPlace(onRoute route: String?) {
        guard Self.routesWithoutKeys.withLock({ $0.insert(route ?? "").inserted }) else { return }
        Logger.current.warning(
            "Requests pass unguarded: the key is looked for where bodies of their media type have none",
            metadata: route.map { ["idempotency.route": "\($0)"] })
    }

    private static let routesWithoutKeys = Mutex<Set<String>>([])

    func scopeIsUnknown(_ problem: ScopeProblem) {
        Logger.current.error(
            "A request was refused, since it cannot be told whose key it has",
            metadata: ["idempotency.reason": "\(problem.rawValue)", "idempotency.advice": "\(problem)"])
    }

    // MARK: Leases

    func recordRunning(_ count: Int) {
        self.metrics?.running.record(count)
    }

    func leaseRenewed() {
        self.metrics?.renewals.increment()
    }

    func leaseLost(_ claim: borrowing Claim) {
        self.metrics?.losses.increment()
        Logger.current.warning(
            "A running attempt lost its lease; its outcome will not be stored",
            metadata: [
                "idempotency.record": "\(Self.name(of: claim.key))",
                "idempotency.attempt": "\(claim.attempt)",
            ])
    }

    /// Counts a lost lease that was noticed only when the store refused the outcome.
    func leaseFoundLost() {
        self.metrics?.losses.increment()
    }

    // MARK: Outcomes

    func executed(_ conclusion: Conclusion) {
        self.metrics?.executions[conclusion]?.increment()
    }

    func outcomeNotStored(_ claim: borrowing Claim, reason: String) {
        self.unstored(claim, "An operation ran, but its outcome is not stored: a retry may run it again", reason)
    }

    /// Says what became of the transaction of an operation and its outcome.
    func transactionFailed(_ claim: borrowing Claim, _ error: StoreError, hasRun: Bool, mayBeCommitted: Bool) {
        guard hasRun else {
            return Logger.current.warning(
                "The transaction of an operation could not begin: nothing ran",
                metadata: Self.metadata(of: claim, reason: "\(error)"))
        }
        let message: Logger.Message =
            switch error.code {
            case .transactionEnded:
                "An operation ended its transaction: what it wrote may be committed without its outcome"
            case .replyLost where mayBeCommitted:
                "It is not known whether the transaction of an operation was committed"
            default: "The transaction of an operation was rolled back, with what it wrote and its outcome"
            }
        self.unstored(claim, message, "\(error)")
    }

    private func unstored(_ claim: borrowing Claim, _ message: Logger.Message, _ reason: String) {
        self.metrics?.unstored.increment()
        Logger.current.error(message, metadata: Self.metadata(of: claim, reason: reason))
    }

    private static func metadata(of claim: borrowing Claim, reason: String) -> Logger.Metadata {
        [
            "idempotency.record": "\(Self.name(of: claim.key))", "idempotency.attempt": "\(claim.attempt)",
            "idempotency.reason": "\(reason)",
        ]
    }

    /// Says that the store may keep a claim under which nothing was done.
    func notReleased(_ key: StorageKey, rule: UnknownOutcomeRule.Kind, reason: String) {
        let metadata: Logger.Metadata = [
            "idempotency.record": "\(Self.name(of: key))", "idempotency.reason": "\(reason)",
        ]
        guard rule != .rerun else {
            return Logger.current.debug("A key could not be released: its lease has to end", metadata: metadata)
        }
        Logger.current.warning(
            "A key could not be released: its outcome counts as unknown until an operator settles it",
            metadata: metadata)
    }

    func storedLate(_ claim: borrowing Claim) {
        Logger.current.notice(
            "An outcome that could not be stored at first is stored",
            metadata: [
                "idempotency.record": "\(Self.name(of: claim.key))",
                "idempotency.attempt": "\(claim.attempt)",
            ])
    }

    /// How many known outcomes are not stored, and since when.
    func recordUnstored(_ count: Int, oldest: Duration) {
        guard let metrics else { return }
        metrics.pending.record(count)
        metrics.pendingAge.record(Int(clamping: oldest.wholeMilliseconds / 1000))
    }

    /// How many outcomes in a store are unknown.
    func recordUnknown(_ count: Int, in store: StoreIdentity) {
        self.metrics?.unknown.record(count, of: store)
    }

    func unknownNotCounted(_ error: StoreError) {
        Logger.current.info("Unknown outcomes were not counted", metadata: ["idempotency.error": "\(error)"])
    }

    // MARK: Waiting

    func recordWaiting(_ count: Int) {
        self.metrics?.waiting.record(count)
    }

    func waited<Result>(_ wait: () async throws -> Result) async rethrows -> Result {
        let start = ContinuousClock.now
        defer { self.metrics?.waitDuration.record(duration: start.duration(to: .now)) }
        return try await withSpan("idempotency.wait") { _ in try await wait() }
    }

    // MARK: Store

    /// Measures one call to the store, in a span of its own.
    ///
    /// An error of a store that is not ours might quote what it was given, so it is wrapped before anybody describes it.
    ///
    /// - Throws: ``StoreError``; `CancellationError` if the task is cancelled and the store stopped for that.
    @inline(__always)
    func storeCall<Result>(_ call: StoreCall, _ operation: () async throws -> Result) async throws -> Result {
        do {
            if self.metrics == nil, !self.isTraced { return try await operation() }
            return try await self.measured(call, operation)
        } catch {
            throw self.failure(of: call, error)
        }
    }

    @inline(never)
    private func measured<Result>(_ call: StoreCall, _ operation: () async throws -> Result) async throws -> Result {
        let start = ContinuousClock.now
        defer { self.metrics?.storeDurations[call]?.record(duration: start.duration(to: .now)) }
        guard self.isTraced else { return try await operation() }
        return try await withSpan(call.spanName, ofKind: .client) { span in
            do {
                return try await operation()
            } catch {
                span.setStatus(.init(code: .error))
                throw error is CancellationError ? error : StoreError(wrapping: error)
            }
        }
    }

    /// Logs the beginning of an outage.
    func storeLost(_ error: StoreError, isBypassed: Bool) {
        Logger.current.error(
            isBypassed
                ? "The idempotency store cannot be used: operations run unprotected until it can"
                : "The idempotency store cannot be used: requests are refused until it can",
            metadata: ["idempotency.error": "\(error)"])
    }

    func storeIsBack() {
        Logger.current.notice("The idempotency store can be used again")
    }

    /// Reports that a call to the store has failed.
    ///
    /// - Returns: What to throw.
    private func failure(of call: StoreCall, _ error: any Error) -> any Error {
        if error is CancellationError, Task.isCancelled { return error }
        let error = StoreError(wrapping: error)
        self.metrics?.storeErrors[call]?.increment()
        Logger.current.debug(
            "A call to the idempotency store failed",
            metadata: ["idempotency.operation": "\(call.rawValue)", "idempotency.error": "\(error)"])
        return error
    }

    /// The first eight bytes of a storage key, enough to find its lines.
    private static func name(of key: StorageKey) -> Substring {
        key.description.prefix(16)
    }
}
