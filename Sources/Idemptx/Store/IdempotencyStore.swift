/// Keeps one record per key and changes it in atomic steps.
///
/// A store promises:
///
/// - Each call is one atomic step, equal to the function of the same name in `RecordTransitions`, with the store's own
///   clock, even if several processes share the store.
/// - What a call reports has happened: `complete` is durable to the degree the store documents, and visible to every
///   process, before it returns.
/// - A call whose reply was lost throws ``StoreError`` with code ``StoreError/Code/replyLost``, never a success and
///   never a refusal. Any other error means that nothing has changed.
/// - Each call can be repeated with the same owner token.
///
/// The requirements are plain `throws`; the stores of this package throw ``StoreError`` or `CancellationError`. The
/// engine shields calls that end an operation from cancellation, so that a store need not.
///
/// Hold a store of your own to these promises with `StoreConformance`, of the product `IdemptxTesting`.
public protocol IdempotencyStore: Sendable {
    /// Asks to run an operation.
    ///
    /// - Parameter request: The key, the attempt, and the rules.
    /// - Returns: A claim if the attempt may run; otherwise why not.
    /// - Throws: ``StoreError``. A claim that comes later than its timeout changes nothing. After
    ///   ``StoreError/Code/replyLost`` the key may be claimed by `request.owner`.
    func claim(_ request: ClaimRequest) async throws -> ClaimResult<Claim>

    /// Moves the end of a claim's lease to `lease` from now, and the expiry of the record as the claim's retention says.
    ///
    /// A lease of zero ends now: the outcome is unknown, and waiters are woken.
    ///
    /// - Parameters:
    ///   - claim: The claim.
    ///   - lease: How long the lease runs from now on.
    /// - Returns: `false` if the claim no longer owns the key; nothing has changed then.
    /// - Throws: ``StoreError``.
    func renew(_ claim: borrowing Claim, lease: Duration) async throws -> Bool

    /// Stores how the operation ended.
    ///
    /// - Parameters:
    ///   - claim: The claim.
    ///   - outcome: How the operation ended.
    ///   - keyTTL: How long the outcome is kept from now on.
    /// - Returns: `false` if another attempt took the key, or the record is gone; nothing was stored then.
    /// - Throws: ``StoreError``. After ``StoreError/Code/replyLost`` the outcome may be stored; repeat the call, do
    ///   not repeat the operation.
    func complete(_ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration) async throws -> Bool

    /// Frees the key, because nothing was done.
    ///
    /// - Parameter claim: The claim.
    /// - Returns: `false` if the claim no longer owns the key; nothing has changed then.
    /// - Throws: ``StoreError``.
    func release(_ claim: borrowing Claim) async throws -> Bool

    /// What tells this store from others.
    var identity: StoreIdentity { get }

    /// Hints that the record of `key` was completed, released or removed, or that its lease was ended.
    ///
    /// A hint can come late, twice, without cause, or not at all: it only shortens a wait. A stream that is finished
    /// without a hint means that the store gives none, which is the default.
    ///
    /// - Parameter key: The record in question.
    /// - Returns: A stream for one consumer, which hints from the moment of this call.
    func changes(of key: StorageKey) -> AsyncStream<Void>
}

extension IdempotencyStore where Self: AnyObject {
    /// That of an object that shares its records with no other.
    public var identity: StoreIdentity { StoreIdentity(of: self) }
}

extension IdempotencyStore {
    /// No hints.
    ///
    /// - Parameter key: The record in question.
    /// - Returns: A finished stream.
    public func changes(of key: StorageKey) -> AsyncStream<Void> {
        AsyncStream { $0.finish() }
    }
}
