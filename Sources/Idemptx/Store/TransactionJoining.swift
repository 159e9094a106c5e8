/// A store that can write an outcome in a transaction of the application, beside the application's own data.
///
/// Effect and record are then there together, or neither is: a crash before the commit leaves nothing behind, and the retry
/// runs the operation again, as the next attempt. An attempt that was replaced cannot commit. For what is written through
/// that transaction, and for nothing else that an operation does, this is exactly once.
///
/// See <doc:ExactlyOnce>.
public protocol TransactionJoining<Transaction>: IdempotencyStore {
    /// The application's access to its own data inside a transaction.
    associatedtype Transaction

    /// Runs a function in a transaction, and commits what it wrote when it returns.
    ///
    /// - Parameter body: Writes by means of the transaction, and does not end it.
    /// - Throws: What `body` throws, after everything was rolled back. ``StoreError``: nothing was committed, unless its
    ///   code is ``StoreError/Code/replyLost``, after which everything may be, or ``StoreError/Code/transactionEnded``.
    func withTransaction(_ body: (Transaction) async throws -> Void) async throws

    /// Stores how an operation ended, as a write of a transaction.
    ///
    /// The record stays locked until the transaction ends, so that nobody else can change it in between.
    ///
    /// - Parameters:
    ///   - claim: The claim.
    ///   - outcome: How the operation ended.
    ///   - keyTTL: How long the outcome is kept from now on.
    ///   - transaction: The transaction, which has to be committed.
    /// - Returns: `false` if the claim no longer owns the key: nothing was written, and the transaction must not be
    ///   committed.
    /// - Throws: ``StoreError``; the transaction must not be committed then.
    func complete(
        _ claim: borrowing Claim,
        with outcome: Outcome,
        keyTTL: Duration,
        in transaction: Transaction
    ) async throws -> Bool
}
