package import Idemptx
import TestSupport
import Testing

/// Kills the server of a store and starts it again with all its data: operations are refused meanwhile, and neither repeated nor
/// lost afterwards.
///
/// - Parameters:
///   - store: The store, whose keys `k-1` and `k-2` are free.
///   - kill: Kills the server.
///   - restart: Starts it again.
/// - Throws: What the operations or `kill` or `restart` throw unexpectedly.
package func expectNoOperationIsRepeatedOrLost(
    in store: any IdempotencyStore, kill: () async throws -> Void, restart: () async throws -> Void
) async throws {
    let idempotency = Idempotency(store: store, policy: IdempotencyPolicy { $0.claimRetryTime = .zero })
    let ledger = Ledger()
    #expect(try await idempotency.run("charge", key: "k-1") { _ in ledger.add() } == 1)
    try await kill()
    for _ in 0..<3 {
        await #expect(throws: IdempotencyProblem.self) {
            _ = try await idempotency.run("charge", key: "k-2") { _ in ledger.add() }
        }
    }
    #expect(ledger.count == 1)
    try await restart()
    try await eventually("The server is used again") {
        try await idempotency.run("charge", key: "k-1") { _ in ledger.add() } == 1
    }
    #expect(try await idempotency.run("charge", key: "k-2") { _ in ledger.add() } == 2)
}
