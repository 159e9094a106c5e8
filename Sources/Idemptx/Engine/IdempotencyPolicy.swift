public import HTTPTypes

/// How operations are made idempotent.
///
/// A policy always holds: a value that cannot work, such as a lease of no time, is replaced by the nearest one that can.
public struct IdempotencyPolicy: Sendable {
    /// Whether the policy applies.
    public enum Mode: String, Sendable, CaseIterable {
        /// It does.
        case enforce
        /// Every request runs, and never waits for the store. Keys are claimed and outcomes recorded beside it, and what
        /// enforcing would have done is counted and logged. For trying the layer out on live traffic.
        case observe
        /// Requests pass untouched, and the store is left alone.
        case off
    }

    /// What happens when the store cannot be used.
    public enum StoreFailureRule: String, Sendable, CaseIterable {
        /// The request is refused with 503; nothing runs.
        case refuse
        /// The operation runs unprotected: a retry can run it twice. While the store does not reply, requests do not wait
        /// for it.
        ///
        /// If the record is damaged, or others hold it for too long, the request is refused all the same: an operation with its
        /// key may have run, or be running.
        case bypass
    }

    /// Whether the policy applies.
    public var mode = Mode.enforce

    /// The methods that are guarded.
    ///
    /// The others are idempotent by themselves (RFC 9110, section 9.2.2).
    public var methods: Set<HTTPRequest.Method> = [.post, .patch]

    /// Whether a request without a key is refused.
    public var required = true

    /// Where the key of a request comes from.
    public var keySource = KeySource.idempotencyKey

    /// Separates operations that share a store.
    ///
    /// A key in one namespace says nothing about the same key in another.
    public var namespace = ""

    /// How long a response is kept, counted from completion.
    ///
    /// At least a millisecond.
    public var keyTTL = Duration.seconds(24 * 60 * 60) {
        didSet { self.keyTTL = max(self.keyTTL, .milliseconds(1)) }
    }

    /// After which time without renewal the outcome of an attempt counts as unknown.
    ///
    /// Renewed three times per lease. At least 10 ms.
    public var lease = Duration.seconds(30) {
        didSet { self.lease = max(self.lease, .milliseconds(10)) }
    }

    /// For how long a running attempt renews its lease; `nil` for as long as it runs.
    ///
    /// An attempt that takes longer goes on, yet its key follows the rule of ``onAbandoned`` once the lease is over.
    public var maxRunTime: Duration? {
        didSet { self.maxRunTime = self.maxRunTime.map { max($0, .zero) } }
    }

    /// How long a request waits for another with the same key that is running; zero responds with 409 at once.
    public var waitTimeout = Duration.zero {
        didSet { self.waitTimeout = max(self.waitTimeout, .zero) }
    }

    /// In which time a retry makes sense, as `Retry-After` says; shortened at random by up to half.
    ///
    /// At least a second.
    public var retryHint = Duration.seconds(5) {
        didSet { self.retryHint = max(self.retryHint, .seconds(1)) }
    }

    /// What happens to a key if the outcome of its attempt is unknown.
    public var onAbandoned = UnknownOutcomeRule.rerun

    /// How long an unknown outcome is remembered under a rule other than ``UnknownOutcomeRule/rerun``; `nil` for good.
    public var unresolvedRetention: Duration? {
        didSet { self.unresolvedRetention = self.unresolvedRetention.map { max($0, .zero) } }
    }

    /// What happens when the store cannot be used.
    public var onStoreFailure = StoreFailureRule.refuse

    /// How long one claim may take.
    ///
    /// The store does not grant a claim that it gets to later.
    public var claimTimeout = Duration.seconds(2) {
        didSet { self.claimTimeout = max(self.claimTimeout, .milliseconds(1)) }
    }

    /// For how long a failed claim is tried again before the store counts as unusable.
    package var claimRetryTime = Duration.seconds(1)

    /// How long the caller waits for an outcome to be stored.
    ///
    /// The response is then sent as `unstored`, and storing goes on without the caller.
    public var completionRetryTime = Duration.seconds(3)

    /// How many bytes of outcomes that could not be stored yet are kept in memory; a tombstone takes the place of more.
    ///
    /// Outcomes that are stored for the first time while their callers wait do not count.
    package var maxUnstoredBytes = 64 << 20 {
        didSet { self.maxUnstoredBytes = max(self.maxUnstoredBytes, 0) }
    }

    /// What becomes of a key, by the response of its operation.
    ///
    /// ``dispositions`` go first.
    public var replay = ReplayPolicy.atMostOnce

    /// What becomes of a key by the status of its response, whatever ``replay`` says.
    ///
    /// ```swift
    /// policy.dispositions = [402: .release, 419: .release]
    /// ```
    public var dispositions: [Int: Disposition] = [:]

    /// Whether `Cache-Control: no-store` keeps a response from being stored.
    ///
    /// A tombstone takes its place.
    public var honorsNoStore = false

    /// The header fields of a response that a replay does not send.
    ///
    /// By default those that tell about the first request rather than the result: cookies, which a replay must not revive,
    /// the server's identity, rate limits and retry hints, and the ids of requests and traces. Fields that belong to one
    /// connection or one message are never sent again (RFC 9110, section 7.6.1).
    public var droppedHeaders = HeaderFilter.droppedByDefault

    /// The only header fields of a response that a replay sends; `nil` stands for all.
    public var keptHeaders: Set<HTTPField.Name>?

    /// What of a request enters its fingerprint.
    public var fingerprint = FingerprintRecipe()

    /// Whether a key that was used for another request is refused.
    public var validateSignature = true

    /// The longest key, in characters.
    package var maxKeyLength = 255 {
        didSet { self.maxKeyLength = max(self.maxKeyLength, 1) }
    }

    /// The largest request body, in bytes.
    ///
    /// It has to be fingerprinted before anything runs.
    public var maxRequestBody = 1 << 20 {
        didSet { self.maxRequestBody = max(self.maxRequestBody, 0) }
    }

    /// The largest response that is kept, in bytes of its body.
    ///
    /// A tombstone takes the place of a larger one. A stream goes at its client's pace from there: it ends if the client
    /// leaves, or takes nothing for 60 seconds.
    public var maxResponseBody = 1 << 20 {
        didSet { self.maxResponseBody = max(self.maxResponseBody, 0) }
    }

    /// How many bytes the request bodies of this process may take together, from the first byte to the end of the request.
    ///
    /// One more request is refused with 503; nothing runs.
    public var bodyBudget = 256 << 20 {
        didSet { self.bodyBudget = max(self.bodyBudget, 0) }
    }

    /// How many bytes of kept responses this process also holds in memory; with 0, each replay asks the store.
    public var maxReplayCacheBytes = 0 {
        didSet { self.maxReplayCacheBytes = max(self.maxReplayCacheBytes, 0) }
    }

    /// How long a response is held in memory: for so long a replay does not notice that an operator has removed its record.
    package var replayCacheTime = Duration.seconds(10) {
        didSet { self.replayCacheTime = max(self.replayCacheTime, .zero) }
    }

    /// How many requests may wait for one key at a time.
    ///
    /// One more gets 409 at once.
    package var maxWaitersPerKey = 1_000

    /// How many requests may wait at a time in all.
    ///
    /// One more gets 409 at once.
    package var maxWaiters = 10_000

    /// What the `type` of problem details starts with: an absolute URI that stays the same (RFC 9457, section 3.1.1).
    public var problemTypeBase = IdempotencyProblem.defaultTypeBase

    /// The default policy, changed as you like.
    ///
    /// ```swift
    /// let policy = IdempotencyPolicy { $0.keyTTL = .seconds(7 * 24 * 60 * 60) }
    /// ```
    ///
    /// - Parameter change: Sets what differs from the defaults.
    public init(_ change: (inout IdempotencyPolicy) -> Void = { _ in }) {
        change(&self)
    }

    /// Which header fields of a response are kept.
    package var headerFilter: HeaderFilter {
        HeaderFilter(dropped: self.droppedHeaders, allowed: self.keptHeaders)
    }

    /// What becomes of a key if the operation itself does not say.
    func disposition(of head: HTTPResponse) -> Disposition {
        let disposition = self.dispositions[head.status.code] ?? self.replay.disposition(of: head)
        guard disposition == .keep, self.honorsNoStore, head.forbidsStoring else { return disposition }
        return .tombstone
    }

    /// In how many seconds a retry makes sense; `Retry-After` knows whole seconds only (RFC 9110, section 10.2.3).
    func retryAfter(within remainingLease: Duration? = nil) -> Int {
        let hint = self.retryHint * Double.random(in: 0.5...1)
        let milliseconds = min(remainingLease ?? hint, hint).wholeMilliseconds
        return max(1, Int(clamping: milliseconds / 1000 + (milliseconds % 1000 > 0 ? 1 : 0)))
    }
}

extension HTTPResponse {
    /// RFC 9111, section 5.2.2.5.
    fileprivate var forbidsStoring: Bool {
        let lines = self.headerFields[values: .cacheControl]
        let directives = lines.flatMap { $0.utf8.split(separator: UInt8(ascii: ",")) }
        return directives.contains { String(Substring($0.trimmingOptionalWhitespace())).lowercased() == "no-store" }
    }
}
