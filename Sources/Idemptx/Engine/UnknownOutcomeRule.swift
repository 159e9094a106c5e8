/// What happens to a key if the lease of its attempt ended without an outcome: the process crashed or stood still, or the
/// operation said that its outcome is unknown.
public struct UnknownOutcomeRule: Sendable {
    /// The rule as stores know it.
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case rerun
        case refuse
        case recover
    }

    package let kind: Kind

    /// What a recovery calls.
    let recover: (@Sendable (UnknownOutcome) async throws -> Recovery)?

    /// The next request runs the operation again, as the next attempt.
    public static let rerun = UnknownOutcomeRule(kind: .rerun, recover: nil)

    /// Every request is told that the outcome is unknown, until the late attempt or an operator settles it.
    public static let refuse = UnknownOutcomeRule(kind: .refuse, recover: nil)

    /// The next request finds out what happened before anything runs: ask the bank, then decide.
    ///
    /// - Parameter recover: Finds out. It runs under a claim of its own, so that neither it nor the operation runs a second
    ///   time meanwhile. If it throws, the outcome stays unknown, as with ``Recovery/refuse``, and the next request calls
    ///   it again.
    /// - Returns: The rule.
    public static func recover(
        _ recover: @escaping @Sendable (UnknownOutcome) async throws -> Recovery
    ) -> UnknownOutcomeRule {
        UnknownOutcomeRule(kind: .recover, recover: recover)
    }
}

/// What is known about an attempt whose outcome is not.
public struct UnknownOutcome: Sendable {
    /// The client's key, as it was sent.
    public let key: String

    /// The number of the attempt whose outcome is unknown.
    public let attempt: Int

    /// When the key was first claimed, on the store's clock.
    public let created: Timestamp

    /// When the lease of the attempt ended, on the store's clock.
    package let leaseEnd: Timestamp

    let storageKey: StorageKey

    /// The key under which the attempt called another service; see ``IdempotencyContext/downstreamKey(_:)``.
    ///
    /// - Parameter service: Names the service, as the operation did.
    /// - Returns: A UUID (RFC 9562, version 8) in lower case.
    public func downstreamKey(_ service: String) -> String {
        self.storageKey.downstreamKey(for: service)
    }
}

/// What to do about an unknown outcome.
public enum Recovery: Sendable {
    /// Nothing was done: run the operation, as the next attempt.
    case rerun
    /// It was done: store this, and replay it.
    case complete(with: Outcome)
    /// It is still not known: tell the caller so.
    case refuse
}
