/// All that a store knows about one key.
///
/// A store keeps it as it is, or in its binary form: ``encoded()``.
public struct IdempotencyRecord: Hashable, Sendable {
    /// Where the operation stands.
    package enum State: Hashable, Sendable {
        /// An attempt owns the key. If its lease is over, the outcome is unknown.
        case claimed(leaseEnd: Timestamp)
        /// The operation ended.
        case completed(Outcome)
        /// The key was released, and only the number of its last attempt is remembered.
        case free
    }

    /// What the operation was asked to do.
    package var fingerprint: Fingerprint

    /// The attempt that owns the record, or that completed it.
    package var owner: OwnerToken

    /// The number of that attempt: 1, then one more with each later attempt.
    package var attempt: Int

    /// When the key was first claimed.
    package var created: Timestamp

    /// When the record ceases to exist.
    ///
    /// From then on it counts as absent, and can be deleted. The largest number of milliseconds stands for never.
    public var expires: Timestamp

    /// When the lease of the attempt before this one ended, if its outcome is unknown.
    package var unknownSince: Timestamp?

    /// Where the operation stands.
    package var state: State

    /// Creates a record.
    ///
    /// - Parameters:
    ///   - fingerprint: What the operation was asked to do.
    ///   - owner: The attempt that owns the record, or that completed it.
    ///   - attempt: The number of that attempt, from 1.
    ///   - created: When the key was first claimed.
    ///   - expires: When the record ceases to exist.
    ///   - unknownSince: When the lease of the attempt before this one ended, if its outcome is unknown.
    ///   - state: Where the operation stands.
    package init(
        fingerprint: Fingerprint,
        owner: OwnerToken,
        attempt: Int,
        created: Timestamp,
        expires: Timestamp,
        unknownSince: Timestamp? = nil,
        state: State
    ) {
        self.fingerprint = fingerprint
        self.owner = owner
        self.attempt = attempt
        self.created = created
        self.expires = expires
        self.unknownSince = unknownSince
        self.state = state
    }
}

extension IdempotencyRecord {
    /// Reads a record back from its binary form.
    ///
    /// - Parameter bytes: What ``encoded()`` returned.
    /// - Throws: ``StoreError`` with code ``StoreError/Code/corruptRecord`` if the bytes are damaged, or of a version of
    ///   the format that this version of the package does not know.
    public init(encoded bytes: [UInt8]) throws(StoreError) {
        self = try RecordCodec.decode(bytes)
    }

    /// The binary form of the record.
    ///
    /// It has a version and checksums. Later versions of this package can read it.
    ///
    /// - Returns: The bytes.
    public func encoded() -> [UInt8] { RecordCodec.encode(self) }

    /// How the operation ended; `nil` if it has not, as far as is known.
    package var outcome: Outcome? {
        guard case .completed(let outcome) = self.state else { return nil }
        return outcome
    }
}
