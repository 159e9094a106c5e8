/// What a claim comes to.
///
/// ``RecordTransitions`` grant a ``ClaimGrant``, stores grant a ``Claim``; all other cases stay the same on the way.
public enum ClaimResult<Grant: ~Copyable>: ~Copyable {
    /// The attempt may run its operation.
    case granted(Grant)
    /// The operation has ended, with this outcome.
    case completed(Outcome)
    /// Another attempt runs, and this much of its lease is left.
    case inProgress(remainingLease: Duration)
    /// The key was used for another request.
    case mismatch
    /// An attempt's lease ended without an outcome, and the rule is to refuse.
    case unknown

    /// The same result with another kind of grant.
    ///
    /// - Parameter transform: Makes the new grant.
    /// - Returns: The result.
    /// - Throws: What `transform` throws.
    public consuming func map<New: ~Copyable, Failure: Error>(
        _ transform: (consuming Grant) throws(Failure) -> New
    ) throws(Failure) -> ClaimResult<New> {
        switch consume self {
        case .granted(let grant): .granted(try transform(grant))
        case .completed(let outcome): .completed(outcome)
        case .inProgress(let remainingLease): .inProgress(remainingLease: remainingLease)
        case .mismatch: .mismatch
        case .unknown: .unknown
        }
    }
}

extension ClaimResult: Copyable where Grant: Copyable {}
extension ClaimResult: Sendable where Grant: Sendable & ~Copyable {}
extension ClaimResult: Equatable where Grant: Equatable {}
extension ClaimResult: Hashable where Grant: Hashable {}

/// What a claim is granted with, as a plain value.
public struct ClaimGrant: Hashable, Sendable {
    /// The number of the attempt: 1, then one more with each later attempt.
    public var attempt: Int

    /// The attempt before this one, if its outcome is unknown.
    public var abandoned: UnknownAttempt?

    /// Creates a grant.
    ///
    /// - Parameters:
    ///   - attempt: The number of the attempt.
    ///   - abandoned: The attempt before this one, if its outcome is unknown.
    public init(attempt: Int, abandoned: UnknownAttempt? = nil) {
        self.attempt = attempt
        self.abandoned = abandoned
    }
}

/// An attempt whose lease ended without an outcome.
public struct UnknownAttempt: Hashable, Sendable {
    /// The number of the attempt.
    public var attempt: Int

    /// When the key was first claimed, on the store's clock.
    public var created: Timestamp

    /// When the lease of the attempt ended, on the store's clock.
    public var leaseEnd: Timestamp

    /// Creates the description of an attempt.
    ///
    /// - Parameters:
    ///   - attempt: The number of the attempt.
    ///   - created: When the key was first claimed, on the store's clock.
    ///   - leaseEnd: When the lease of the attempt ended, on the store's clock.
    public init(attempt: Int, created: Timestamp, leaseEnd: Timestamp) {
        self.attempt = attempt
        self.created = created
        self.leaseEnd = leaseEnd
    }
}
