/// What an attempt asks of a store when it wants to run an operation.
public struct ClaimRequest: Hashable, Sendable {
    /// How long a record is kept by default: a day.
    package static let defaultKeyTTL = Duration.seconds(24 * 60 * 60)

    /// The record in question.
    package var key: StorageKey

    /// The token of this attempt.
    ///
    /// Repeating a claim with the same token is safe: the owner of the key is granted it again.
    package var owner: OwnerToken

    /// What the operation is asked to do.
    package var fingerprint: Fingerprint

    /// Whether a record of another fingerprint is a mismatch.
    package var comparesFingerprint: Bool

    /// How long the attempt may own the key without renewing.
    package var lease: Duration

    /// How long the record is kept, counted from the claim.
    package var keyTTL: Duration

    /// What happens if the lease of another attempt has ended without an outcome.
    package var onAbandoned: UnknownOutcomeRule.Kind

    /// How long a record without an outcome is kept after the end of its lease, under a rule other than
    /// ``UnknownOutcomeRule/rerun``; `nil` keeps it for good.
    package var unresolvedRetention: Duration?

    /// How long the caller waits for the result; `nil` stands for as long as it takes.
    ///
    /// A store that gets to the claim later than that does not grant it: it throws ``StoreError`` with code
    /// ``StoreError/Code/unavailable`` and changes nothing.
    package var timeout: Duration?

    /// Creates a request.
    ///
    /// - Parameters:
    ///   - key: The record in question.
    ///   - owner: The token of this attempt.
    ///   - fingerprint: What the operation is asked to do.
    ///   - comparesFingerprint: Whether a record of another fingerprint is a mismatch.
    ///   - lease: How long the attempt may own the key without renewing.
    ///   - keyTTL: How long the record is kept, counted from the claim.
    ///   - onAbandoned: What happens if the lease of another attempt has ended without an outcome.
    ///   - unresolvedRetention: How long a record without an outcome is kept; `nil` keeps it for good.
    ///   - timeout: How long the caller waits for the result; `nil` stands for as long as it takes.
    package init(
        key: StorageKey,
        owner: OwnerToken = OwnerToken(),
        fingerprint: Fingerprint = .none,
        comparesFingerprint: Bool = true,
        lease: Duration = .seconds(30),
        keyTTL: Duration = ClaimRequest.defaultKeyTTL,
        onAbandoned: UnknownOutcomeRule.Kind = .rerun,
        unresolvedRetention: Duration? = nil,
        timeout: Duration? = nil
    ) {
        self.key = key
        self.owner = owner
        self.fingerprint = fingerprint
        self.comparesFingerprint = comparesFingerprint
        self.lease = lease
        self.keyTTL = keyTTL
        self.onAbandoned = onAbandoned
        self.unresolvedRetention = unresolvedRetention
        self.timeout = timeout
    }

    /// How long the record of a granted claim is kept.
    package var retention: ClaimRetention {
        ClaimRetention(keyTTL: self.keyTTL, onAbandoned: self.onAbandoned, unresolved: self.unresolvedRetention)
    }
}

/// How long a claimed record is kept.
package struct ClaimRetention: Hashable, Sendable {
    /// How long the record is kept after a release, and under ``UnknownOutcomeRule/rerun`` after the claim or its last renewal.
    package var keyTTL: Duration

    /// What happens if the lease ends without an outcome.
    package var onAbandoned: UnknownOutcomeRule.Kind

    /// How long the record is kept after the end of the lease, under a rule other than ``UnknownOutcomeRule/rerun``; `nil`
    /// keeps it for good.
    package var unresolved: Duration?

    /// Creates a retention.
    ///
    /// - Parameters:
    ///   - keyTTL: How long the record is kept after the claim or its last renewal, and after a release.
    ///   - onAbandoned: What happens if the lease ends without an outcome.
    ///   - unresolved: How long the record is kept after the end of the lease, under the other rules.
    package init(keyTTL: Duration, onAbandoned: UnknownOutcomeRule.Kind = .rerun, unresolved: Duration? = nil) {
        self.keyTTL = keyTTL
        self.onAbandoned = onAbandoned
        self.unresolved = unresolved
    }

    /// When a record expires that is claimed now: never under a running lease.
    ///
    /// Under ``UnknownOutcomeRule/rerun`` forgetting an attempt costs what the rule permits anyway. Under the other rules it
    /// would let an operation run again although it may have run.
    ///
    /// - Parameters:
    ///   - lease: How long the lease runs from now on.
    ///   - now: The present moment on the store's clock.
    /// - Returns: The expiry; `Timestamp/distantFuture` stands for never.
    package func expiry(lease: Duration, now: Timestamp) -> Timestamp {
        switch self.onAbandoned {
        case .rerun: now.advanced(by: max(lease, self.keyTTL))
        case .refuse, .recover:
            self.unresolved.map { now.advanced(by: lease).advanced(by: max(.zero, $0)) } ?? .distantFuture
        }
    }
}
