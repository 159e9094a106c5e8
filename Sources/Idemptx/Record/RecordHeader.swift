/// An ``IdempotencyRecord`` without the outcome of its operation.
package struct RecordHeader: Hashable, Sendable {
    /// What the operation was asked to do.
    package let fingerprint: Fingerprint

    /// The attempt that owns the record, or that completed it.
    package let owner: OwnerToken

    /// The number of that attempt.
    package let attempt: Int

    /// When the key was first claimed.
    package let created: Timestamp

    /// When the record ceases to exist; `Timestamp/distantFuture` stands for never.
    package let expires: Timestamp

    /// When the lease of the attempt before this one ended, if its outcome is unknown.
    package let unknownSince: Timestamp?

    /// Where the operation stands; claimed also after the end of the lease.
    package let state: RecordState

    /// When the lease ends; `nil` unless the record is claimed.
    package let leaseEnd: Timestamp?

    /// Creates a header, for a store that keeps its fields apart.
    package init(
        fingerprint: Fingerprint,
        owner: OwnerToken,
        attempt: Int,
        created: Timestamp,
        expires: Timestamp,
        unknownSince: Timestamp?,
        state: RecordState,
        leaseEnd: Timestamp?
    ) {
        self.fingerprint = fingerprint
        self.owner = owner
        self.attempt = attempt
        self.created = created
        self.expires = expires
        self.unknownSince = unknownSince
        self.state = state
        self.leaseEnd = leaseEnd
    }
}

extension RecordHeader {
    /// What `record` says apart from its outcome.
    init(_ record: IdempotencyRecord) {
        let (state, leaseEnd): (RecordState, Timestamp?) =
            switch record.state {
            case .claimed(let leaseEnd): (.claimed, leaseEnd)
            case .completed(.response): (.completed, nil)
            case .completed(.tombstone): (.tombstone, nil)
            case .free: (.free, nil)
            }
        self.init(
            fingerprint: record.fingerprint, owner: record.owner, attempt: record.attempt, created: record.created,
            expires: record.expires, unknownSince: record.unknownSince, state: state, leaseEnd: leaseEnd)
    }
}
