/// Proof that one attempt, and no other, may run an operation.
///
/// A store hands out at most one live claim per key. A claim cannot be copied, so that it has one holder. Store calls
/// borrow it, because a lost reply has to be retried with the same token. A claim that is dropped ends when its lease
/// does.
public struct Claim: ~Copyable, Sendable {
    /// The record that is claimed.
    public let key: StorageKey

    /// The token of the attempt.
    public let owner: OwnerToken

    /// The number of the attempt: 1, then one more with each takeover.
    ///
    /// Usable as a fencing number.
    public let attempt: Int

    /// How long the record is kept after each sign of life.
    public let keyTTL: Duration

    /// Creates a claim.
    ///
    /// A store does so after it has granted `request`.
    ///
    /// - Parameters:
    ///   - request: What was asked for.
    ///   - attempt: The number of the attempt.
    public init(granting request: ClaimRequest, attempt: Int) {
        self.key = request.key
        self.owner = request.owner
        self.attempt = attempt
        self.keyTTL = request.keyTTL
    }
}
