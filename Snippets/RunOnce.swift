import Idemptx
import IdemptxSQLite

struct Transfer: Codable, Sendable {
    let id: String
    let amount: Int
}

struct Receipt: Codable, Sendable {
    let number: Int
    let amount: Int
}

/// Handles a message that a queue may deliver more than once.
func handle(_ transfer: Transfer, by idempotency: Idempotency) async throws -> Receipt {
    try await idempotency.run("transfer", key: transfer.id, fingerprint: Fingerprint(of: transfer)) { context in
        // The number is 2 or more if the outcome of an earlier attempt is unknown. What the transfer writes to can refuse
        // a smaller number than it has seen.
        print("Attempt \(context.attempt) runs")
        return Receipt(number: .random(in: 1...1_000_000), amount: transfer.amount)
    }
}

let store = try SQLiteStore(path: "transfers.sqlite")
let idempotency = Idempotency(store: store, policy: IdempotencyPolicy { $0.namespace = "transfers" })

let message = Transfer(id: "message-1", amount: 700)
let first = try await handle(message, by: idempotency)
let again = try await handle(message, by: idempotency)
print("Receipt \(first.number), and once more \(again.number)")
