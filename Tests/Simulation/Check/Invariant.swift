/// What has to hold in every history.
enum Invariant: String, Sendable, CaseIterable {
    /// An operation that may have had its effect runs again only after a takeover with a cause, an expiry, or a loss.
    case oneExecution
    /// Under the rule to refuse, not after a takeover either.
    case noTakeover
    /// Nobody gets the response to another operation, or to another caller.
    case ownResponse
    /// A replay is what the first execution responded with.
    case faithfulReplay
    /// What is acknowledged as stored does not change.
    case lastingAcknowledgement
    /// A response that counts as stored is in the store before it is sent.
    case storedBeforeSent
    /// A request that asks for something else runs nothing and gets nothing.
    case mismatchIsRefused
    /// Attempt numbers grow while an earlier attempt may be alive.
    case growingAttempts
    /// An operation starts under a lease that its process has, and not under one that is over.
    case startsUnderLease
    /// An attempt does not take itself for the owner of a key that another has.
    case knowsItsLease
    /// A request that was refused has run nothing.
    case refusedMeansNothingRan
    /// A known outcome is stored as long as its process lives.
    case knownOutcomeIsKept
    /// A lease is renewed until its attempt has ended and its outcome is stored.
    case leaseIsRenewed
    /// No key is in progress without a process that could end it.
    case noOrphans
    /// An outcome is unknown only if something has run.
    case noGhosts
    /// A hang-up cancels no operation.
    case hangUpCancelsNothing
    /// Every request is responded to, in time.
    case timelyResponse
    /// A request that may wait waits, until its time is over.
    case waitersWait
    /// Nobody is told that the store cannot be used if nothing is wrong with it.
    case unavailableHasCause
    /// Requests that are observed, or may bypass the store, do not wait for it.
    case observingIsFree
    /// Claims of one process that arrive together share calls.
    case claimsAreShared
    /// Nothing goes on for good.
    case comesToRest
    /// No operation begins, and no second recovery, while one runs.
    case oneRecovery
    /// An operation responds only with what it can respond with.
    case knownResponses
}

/// A broken invariant.
struct Violation: Sendable {
    let invariant: Invariant
    let at: Moment
    let text: String

    var description: String { "\(self.invariant.rawValue): \(self.text) (at \(self.at.milliseconds) ms)" }
}
