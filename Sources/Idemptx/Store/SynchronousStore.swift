/// A store whose calls never wait.
///
/// Conform to this instead of ``IdempotencyStore`` and implement the four calls without `async`; they serve as the
/// asynchronous ones, too.
public protocol SynchronousStore: IdempotencyStore {
    /// Asks to run an operation; see ``IdempotencyStore/claim(_:)``.
    ///
    /// - Parameter request: The key, the attempt, and the rules.
    /// - Returns: A claim if the attempt may run; otherwise why not.
    /// - Throws: ``StoreError``.
    func claim(_ request: ClaimRequest) throws -> Admission

    /// Moves the end of a claim's lease; see ``IdempotencyStore/renew(_:lease:)``.
    ///
    /// - Parameters:
    ///   - claim: The claim.
    ///   - lease: How long the lease runs from now on.
    /// - Returns: `false` if the claim no longer owns the key.
    /// - Throws: ``StoreError``.
    func renew(_ claim: borrowing Claim, lease: Duration) throws -> Bool

    /// Stores how the operation ended; see ``IdempotencyStore/complete(_:with:keyTTL:)``.
    ///
    /// - Parameters:
    ///   - claim: The claim.
    ///   - outcome: How the operation ended.
    ///   - keyTTL: How long the outcome is kept from now on.
    /// - Returns: `false` if nothing was stored.
    /// - Throws: ``StoreError``.
    func complete(_ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration) throws -> Bool

    /// Gives the key back; see ``IdempotencyStore/release(_:)``.
    ///
    /// - Parameter claim: The claim.
    /// - Returns: `false` if the claim no longer owns the key.
    /// - Throws: ``StoreError``.
    func release(_ claim: borrowing Claim) throws -> Bool
}
