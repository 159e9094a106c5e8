/// All that a store knows about one key.
public struct IdempotencyRecord: Hashable, Sendable {
    /// Where the operation stands.
    public enum State: Hashable, Sendable {
        /// An attempt owns the key. If its lease is over, the outcome is unknown.
        case claimed(leaseEnd: Timestamp)
        /// The operation ended.
        case completed(Outcome)
        /// The key was released, and only the number of its last attempt is remembered.
        case free
    }

    /// What the operation was asked to do.
    public var fingerprint: Fingerprint

    /// The attempt that owns the record, or that completed it.
    public var owner: OwnerToken

    /// The number of that attempt: 1, then one more with each later attempt.
    public var attempt: Int

    /// When the key was first claimed.
    public var created: Timestamp

    /// When the record ceases to exist; ``Timestamp/distantFuture`` stands for never.
    public var expires: Timestamp

    /// When the lease of the attempt before this one ended, if its outcome is unknown.
    public var abandonedUntil: Timestamp?

    /// Where the operation stands.
    public var state: State

    /// Creates a record.
    ///
    /// Stores take records from ``RecordTransitions`` and ``RecordCodec``; this is for tests of them.
    ///
    /// - Parameters:
    ///   - fingerprint: What the operation was asked to do.
    ///   - owner: The attempt that owns the record, or that completed it.
    ///   - attempt: The number of that attempt, from 1.
    ///   - created: When the key was first claimed.
    ///   - expires: When the record ceases to exist.
    ///   - abandonedUntil: When the lease of the attempt before this one ended, if its outcome is unknown.
    ///   - state: Where the operation stands.
    public init(
        fingerprint: Fingerprint,
        owner: OwnerToken,
        attempt: Int,
        created: Timestamp,
        expires: Timestamp,
        abandonedUntil: Timestamp? = nil,
        state: State
    ) {
        self.fingerprint = fingerprint
        self.owner = owner
        self.attempt = attempt
        self.created = created
        self.expires = expires
        self.abandonedUntil = abandonedUntil
        self.state = state
    }
}
