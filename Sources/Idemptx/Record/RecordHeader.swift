/// An ``IdempotencyRecord`` without the outcome of its operation.
public struct RecordHeader: Hashable, Sendable {
    /// Where the operation stands.
    public enum Phase: Hashable, Sendable {
        /// An attempt owns the key. If its lease is over, the outcome is unknown.
        case claimed(leaseEnd: Timestamp)
        /// The operation ended, with a response to replay.
        case response
        /// The operation ended, and its response is not kept.
        case tombstone
        /// The key was released, and only the number of its last attempt is remembered.
        case free
    }

    /// What the operation was asked to do.
    public let fingerprint: Fingerprint

    /// The attempt that owns the record, or that completed it.
    public let owner: OwnerToken

    /// The number of that attempt.
    public let attempt: Int

    /// When the key was first claimed.
    public let created: Timestamp

    /// When the record ceases to exist; ``Timestamp/distantFuture`` stands for never.
    public let expires: Timestamp

    /// When the lease of the attempt before this one ended, if its outcome is unknown.
    public let abandonedUntil: Timestamp?

    /// Where the operation stands.
    public let phase: Phase
}

extension RecordHeader {
    /// What `record` says apart from its outcome.
    init(_ record: IdempotencyRecord) {
        self.init(
            fingerprint: record.fingerprint, owner: record.owner, attempt: record.attempt, created: record.created,
            expires: record.expires,
            abandonedUntil: record.abandonedUntil, phase: Phase(record.state))
    }
}

extension RecordHeader.Phase {
    fileprivate init(_ state: IdempotencyRecord.State) {
        switch state {
        case .claimed(let leaseEnd): self = .claimed(leaseEnd: leaseEnd)
        case .completed(.response): self = .response
        case .completed(.tombstone): self = .tombstone
        case .free: self = .free
        }
    }
}
