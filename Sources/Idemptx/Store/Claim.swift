/// Proof that one attempt, and no other, may run an operation.
///
/// A store hands out at most one live claim per key. A claim cannot be copied, so that it has one holder. Store calls
/// borrow it, because a lost reply has to be retried with the same token. A claim that is dropped ends when its lease
/// does.
public struct Claim: ~Copyable, Sendable {
    /// The record that is claimed.
    package let key: StorageKey

    /// The token of the attempt.
    package let owner: OwnerToken

    /// What the operation is asked to do.
    package let fingerprint: Fingerprint

    /// The number of the attempt: 1, then one more with each later attempt.
    ///
    /// Usable as a fencing number.
    package let attempt: Int

    /// The attempt before this one, if its outcome is unknown.
    package let unknownAttempt: UnknownAttempt?

    /// How long the record is kept.
    package let retention: ClaimRetention

    /// How long the record is kept after a release, and under ``UnknownOutcomeRule/rerun`` after the claim or its last renewal.
    package var keyTTL: Duration { self.retention.keyTTL }

    /// Creates a claim.
    ///
    /// A store does so after it has granted `request`.
    ///
    /// - Parameters:
    ///   - request: What was asked for.
    ///   - grant: What the store granted.
    package init(granting request: ClaimRequest, _ grant: ClaimGrant) {
        self.key = request.key
        self.owner = request.owner
        self.fingerprint = request.fingerprint
        self.attempt = grant.attempt
        self.unknownAttempt = grant.unknownAttempt
        self.retention = request.retention
    }
}
