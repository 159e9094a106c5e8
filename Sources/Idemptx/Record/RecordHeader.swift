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
