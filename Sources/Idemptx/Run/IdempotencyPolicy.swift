public import HTTPTypes

/// The rules by which operations are made idempotent.
public struct IdempotencyPolicy: Sendable {
    /// Whether the rules apply.
    public enum Mode: String, Sendable, CaseIterable {
        /// They do.
        case enforce
        /// Every request runs. Keys are claimed and outcomes recorded, and what enforcing would have done is counted and
        /// logged. For trying the layer out on live traffic.
        case observe
        /// Requests pass untouched, and the store is left alone.
        case off
    }

    /// What happens when the store cannot be used.
    public enum StoreFailureRule: String, Sendable, CaseIterable {
        /// The request is refused with 503; nothing runs.
        case refuse
        /// The operation runs unprotected: a retry can run it twice.
        case bypass
    }

    /// Whether the rules apply.
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

    /// How long an answer is kept, counted from completion, and a crashed attempt remembered, counted from its last sign
    /// of life.
    public var keyTTL = Duration.seconds(24 * 60 * 60)

    /// After which time without renewal an attempt counts as abandoned.
    ///
    /// It is renewed every third of it.
    public var lease = Duration.seconds(30)

    /// How long a request waits for another with the same key that is running; zero answers 409 at once.
    public var waitTimeout = Duration.zero

    /// What happens to a key whose owner let its lease end.
    public var onAbandoned = AbandonedRule.rerun

    /// What happens when the store cannot be used.
    public var onStoreFailure = StoreFailureRule.refuse

    /// For how long a failed claim is tried again before the store counts as unusable.
    public var claimRetryTime = Duration.seconds(1)

    /// For how long a failed completion is tried again before the answer is sent unstored; never beyond the lease.
    public var completionRetryTime = Duration.seconds(10)

    /// Which answers are kept.
    public var replay = ReplayPolicy.atMostOnce

    /// Whether `Cache-Control: no-store` keeps an answer from being stored.
    ///
    /// A tombstone takes its place.
    public var honorsNoStore = false

    /// Which header fields of an answer are kept.
    public var headerFilter = HeaderFilter()

    /// What of a request enters its fingerprint.
    public var fingerprint = FingerprintRecipe()

    /// Whether a key that was used for another request is refused.
    public var validateSignature = true

    /// The longest key, in characters.
    public var maxKeyLength = IdempotencyKey.defaultMaximumLength

    /// The largest request body, in bytes.
    ///
    /// It has to be fingerprinted before anything runs.
    public var maxRequestBody = 1 << 20

    /// The largest answer that is kept, in bytes of its body.
    ///
    /// A tombstone takes the place of a larger one.
    public var maxResponseBody = 1 << 20

    /// How many requests may wait for one key at a time.
    ///
    /// One more is answered 409 at once.
    public var maxWaitersPerKey = 1_000

    /// How many requests may wait at a time in all.
    ///
    /// One more is answered 409 at once.
    public var maxWaiters = 10_000

    /// What the `type` of problem details starts with: an absolute URI that stays the same (RFC 9457, section 3.1.1).
    public var problemTypeBase = IdempotencyProblem.defaultTypeBase

    /// The default rules, changed as you like.
    ///
    /// ```swift
    /// let policy = IdempotencyPolicy { $0.keyTTL = .seconds(7 * 24 * 60 * 60) }
    /// ```
    ///
    /// - Parameter change: Sets what differs from the defaults.
    public init(_ change: (inout IdempotencyPolicy) -> Void = { _ in }) {
        change(&self)
    }

    /// The rules as they apply to the next operation: observing must not slow anybody down.
    var effective: IdempotencyPolicy {
        guard self.mode == .observe else { return self }
        var policy = self
        policy.waitTimeout = .zero
        policy.claimRetryTime = .zero
        policy.completionRetryTime = .zero
        return policy
    }

    /// Why these rules cannot hold; `nil` if they can.
    package var flaw: String? {
        if self.lease < .milliseconds(10) { return "A lease must last at least 10 ms." }
        if self.keyTTL <= .zero { return "A key must be kept for some time." }
        return nil
    }

    /// Stops the programmer who sets rules that cannot hold.
    func checked() -> IdempotencyPolicy {
        precondition(self.flaw == nil, self.flaw ?? "")
        return self
    }
}
