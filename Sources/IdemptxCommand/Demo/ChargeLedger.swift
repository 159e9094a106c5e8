/// The demo's own data: what must not be written twice.
protocol ChargeLedger: Sendable {
    /// Writes a charge down, in a transaction of its own.
    func add(_ order: ChargeOrder, attempt: Int) async throws -> Charge

    /// All charges, the oldest first.
    func all() async throws -> [Charge]

    /// One charge.
    func charge(_ id: Int64) async throws -> Charge?
}

/// A ledger in a database that can hold the records of the layer, too.
protocol TransactionalLedger<Transaction>: ChargeLedger {
    associatedtype Transaction

    /// Writes a charge down in a transaction.
    func add(_ order: ChargeOrder, attempt: Int, in transaction: Transaction) async throws -> Charge
}
