/// What an attempt asks of a store when it wants to run an operation.
public struct ClaimRequest: Hashable, Sendable {
    /// The record in question.
    public var key: StorageKey

    /// The token of this attempt.
    ///
    /// Repeating a claim with the same token is safe: whoever holds the key is told so again.
    public var owner: OwnerToken

    /// What the operation is asked to do.
    public var fingerprint: Fingerprint

    /// Whether a record of another fingerprint is a mismatch.
    public var comparesFingerprint: Bool

    /// How long the attempt may own the key without renewing.
    public var lease: Duration

    /// How long the record is kept, counted from the claim.
    public var keyTTL: Duration

    /// What happens if the lease of another attempt is over.
    public var onAbandoned: AbandonedRule

    /// Creates a request.
    ///
    /// - Parameters:
    ///   - key: The record in question.
    ///   - owner: The token of this attempt.
    ///   - fingerprint: What the operation is asked to do.
    ///   - comparesFingerprint: Whether a record of another fingerprint is a mismatch.
    ///   - lease: How long the attempt may own the key without renewing.
    ///   - keyTTL: How long the record is kept, counted from the claim.
    ///   - onAbandoned: What happens if the lease of another attempt is over.
    public init(
        key: StorageKey,
        owner: OwnerToken = OwnerToken(),
        fingerprint: Fingerprint = .none,
        comparesFingerprint: Bool = true,
        lease: Duration = .seconds(30),
        keyTTL: Duration = .seconds(24 * 60 * 60),
        onAbandoned: AbandonedRule = .rerun
    ) {
        self.key = key
        self.owner = owner
        self.fingerprint = fingerprint
        self.comparesFingerprint = comparesFingerprint
        self.lease = lease
        self.keyTTL = keyTTL
        self.onAbandoned = onAbandoned
    }
}
