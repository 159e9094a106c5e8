import Idemptx

/// How the engines of a simulation are set up: the policy, and the limits of the way to the store.
struct Settings: Sendable {
    var rule = UnknownOutcomeRule.Kind.rerun
    var isObserving = false
    var isBypassing = false
    var retriesServerErrors = false
    var lease = 3_000
    var keyTTL = 60_000
    var waitTimeout = 0
    var claimTimeout = 1_000
    var claimRetryTime = 500
    var completionRetryTime = 1_000
    var maxRunTime: Int?
    var unresolvedRetention: Int?
    var hasReplayCache = false
    var maxUnstoredBytes = 64 << 20
    /// How long the client of the store waits for a reply to a renewal, completion or release.
    var callTimeout = 2_000
    /// Whether the client of the store stops waiting when its task is cancelled.
    var cancelsCalls = false
    /// Whether a process hears of the changes that others make.
    var hintsOthers = true

    static let maxResponseBody = 400

    init(random: inout SeededRandom) {
        self.rule = random.pick([.rerun, .rerun, .refuse, .refuse, .recover])
        self.isObserving = random.chance(perMille: 60)
        self.isBypassing = random.chance(perMille: 120)
        self.retriesServerErrors = random.chance(perMille: 200)
        self.lease = random.pick([1_500, 3_000, 5_000])
        self.keyTTL = random.pick([12_000, 60_000, 600_000, 600_000])
        self.waitTimeout = random.pick([0, 1_500, 5_000])
        self.claimTimeout = random.pick([300, 1_000, 2_000, 5_000])
        self.claimRetryTime = random.pick([0, 500, 1_000])
        self.completionRetryTime = random.pick([100, 1_000, 3_000])
        self.maxRunTime = random.chance(perMille: 100) ? 2_500 : nil
        self.unresolvedRetention = random.chance(perMille: 150) ? 8_000 : nil
        self.hasReplayCache = random.chance(perMille: 250)
        if random.chance(perMille: 100) { self.maxUnstoredBytes = 300 }
        self.callTimeout = random.pick([800, 2_000, 6_000])
        self.cancelsCalls = random.chance(perMille: 400)
        self.hintsOthers = random.chance(perMille: 700)
    }

    /// The policy, but for the function that recovers.
    var policy: IdempotencyPolicy {
        IdempotencyPolicy { policy in
            policy.mode = self.isObserving ? .observe : .enforce
            policy.onStoreFailure = self.isBypassing ? .bypass : .refuse
            policy.replay = self.retriesServerErrors ? .retryServerErrors : .atMostOnce
            policy.onAbandoned = self.rule == .refuse ? .refuse : .rerun
            policy.lease = .milliseconds(self.lease)
            policy.keyTTL = .milliseconds(self.keyTTL)
            policy.waitTimeout = .milliseconds(self.waitTimeout)
            policy.claimTimeout = .milliseconds(self.claimTimeout)
            policy.claimRetryTime = .milliseconds(self.claimRetryTime)
            policy.completionRetryTime = .milliseconds(self.completionRetryTime)
            policy.maxRunTime = self.maxRunTime.map { .milliseconds($0) }
            policy.unresolvedRetention = self.unresolvedRetention.map { .milliseconds($0) }
            policy.maxReplayCacheBytes = self.hasReplayCache ? 1 << 20 : 0
            policy.replayCacheTime = .seconds(3)
            policy.maxUnstoredBytes = self.maxUnstoredBytes
            policy.maxResponseBody = Self.maxResponseBody
        }
    }

    /// What becomes of a key after an operation that ended so.
    func disposition(of end: Behaviour.End) -> Disposition {
        switch end {
        case .succeeds, .succeedsAtLength, .streams: .keep
        case .fails, .throwsError: self.retriesServerErrors ? .release : .keep
        case .isRefused, .releases: .release
        case .isUnavailable: self.retriesServerErrors ? .release : .unknown
        case .marksUnknown: .unknown
        case .leavesTombstone: .tombstone
        }
    }
}
