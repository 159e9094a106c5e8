/// What a claim comes to.
///
/// Stores grant a ``Claim``; all other cases stay the same on the way from the rules to the caller.
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
    package consuming func map<New: ~Copyable, Failure: Error>(
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
package struct ClaimGrant: Hashable, Sendable {
    /// The number of the attempt: 1, then one more with each later attempt.
    package var attempt: Int

    /// The attempt before this one, if its outcome is unknown.
    package var unknownAttempt: UnknownAttempt?

    /// Creates a grant.
    ///
    /// - Parameters:
    ///   - attempt: The number of the attempt.
    ///   - unknownAttempt: The attempt before this one, if its outcome is unknown.
    package init(attempt: Int, unknownAttempt: UnknownAttempt? = nil) {
        self.attempt = attempt
        self.unknownAttempt = unknownAttempt
    }
}

/// An attempt whose lease ended without an outcome.
package struct UnknownAttempt: Hashable, Sendable {
    /// The number of the attempt.
    package var attempt: Int

    /// When the key was first claimed, on the store's clock.
    package var created: Timestamp

    /// When the lease of the attempt ended, on the store's clock.
    package var leaseEnd: Timestamp

    /// Creates the description of an attempt.
    ///
    /// - Parameters:
    ///   - attempt: The number of the attempt.
    ///   - created: When the key was first claimed, on the store's clock.
    ///   - leaseEnd: When the lease of the attempt ended, on the store's clock.
    package init(attempt: Int, created: Timestamp, leaseEnd: Timestamp) {
        self.attempt = attempt
        self.created = created
        self.leaseEnd = leaseEnd
    }
}
