/// A mistake that an engine, its store or its adapter could make: the simulation has to find each of them.
///
/// A mistake is made where the engine can be reached from outside: in the rules or the client of its store, in its clock,
/// its executor or its policy, or in the adapter around it. To everything outside, it looks as if the engine made it.
enum Mutant: String, Sendable, CaseIterable {
    // MARK: In the rules of the store

    case unfencedCompletion
    case unfencedRenewal
    case unfencedRelease
    /// Another attempt gets the key while the lease is running.
    case rerunUnderLease
    /// Whoever repeats a claim because its reply was lost is locked out.
    case ownTokenForgotten
    case fingerprintIgnored
    /// A different request is told to wait.
    case stateBeforeFingerprint
    /// A crash leaves no trace.
    case recordDiesWithLease
    /// After a while, an operation of unknown outcome runs again.
    case unknownExpires
    /// The number of a released attempt is given out again.
    case attemptReset
    case freeKeyCountsFromOne
    case tombstoneRerun
    case secondCompletionOverwrites
    /// A completed record lives no longer than its lease.
    case completionForgetsTTL
    /// The rule to refuse is not followed.
    case refuseIsRerun
    /// A claim that arrives after its caller has given up is granted.
    case ghostClaims
    /// Every key is the same.
    case oneRecordForAll
    /// The outcome that is stored is not the one that was known.
    case outcomeSwallowed

    // MARK: In the client of the store

    /// A release that failed is not repeated.
    case withdrawalNotRepeated
    /// A known outcome is dropped after the second failure.
    case retrierForgets
    /// An outcome counts as stored when it is on its way.
    case sentBeforeStored
    case lostReplyIsRefusal
    case lostReplyIsSuccess
    /// A claim whose reply is lost counts as never made.
    case lostClaimIsForgotten
    /// A renewal that was refused while the outcome is stored is never tried again.
    case refusedRenewalIsLast
    case neverRenews
    /// A waiter that gets the key because it was released fails.
    case waiterFailsOnRelease

    // MARK: In clock and executor

    /// The time that a reply takes does not count against the lease.
    case startsUnderOldLease
    /// Leases are renewed on the pool that handlers block.
    case renewsOnPool

    // MARK: In the policy

    /// Server errors free the key.
    case serverErrorsRelease
    /// 503 frees the key.
    case unavailableReleases
    /// A store that cannot be used is bypassed, although the rule is to refuse.
    case bypassesStore
    case waiterLeavesEarly
    /// The caller waits for as long as the store is away.
    case callerWaitsForStore

    // MARK: In the adapter

    case hangUpCancels
    case scopeLeftOut
    /// Two functions with one key suppress each other.
    case nameLeftOut
    /// Observing waits for the store.
    case observingWaits
    /// Requests that arrive together share nothing.
    case engineForEachRequest
    /// The operation runs although its request was refused.
    case runsAfterRefusal
}

extension Mutant {
    /// What has to give it away, where another invariant could do so by chance; empty if any does.
    var broken: Set<Invariant> {
        switch self {
        case .retrierForgets: [.knownOutcomeIsKept]
        case .ghostClaims, .withdrawalNotRepeated: [.noGhosts]
        case .unknownExpires: [.oneExecution, .growingAttempts]
        case .startsUnderOldLease: [.startsUnderLease, .oneExecution]
        case .attemptReset: [.growingAttempts]
        case .observingWaits: [.observingIsFree]
        case .engineForEachRequest: [.claimsAreShared]
        case .renewsOnPool: [.oneExecution, .noTakeover]
        case .refusedRenewalIsLast: [.leaseIsRenewed]
        case .lostReplyIsRefusal: [.knownOutcomeIsKept]
        default: []
        }
    }
}
