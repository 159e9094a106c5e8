import Idemptx
import IdemptxPostgres

/// The demo's own data in PostgreSQL, beside the records.
struct PostgresLedger: TransactionalLedger {
    private let store: PostgresStore

    /// Creates the table, unless it is there.
    init(beside store: PostgresStore) async throws {
        self.store = store
        try await store.withTransaction { transaction in
            // CREATE TABLE IF NOT EXISTS asks for the right to create tables even if there is nothing to create.
            let isThere = try await transaction.execute("SELECT to_regclass('idemptx_demo_charge') IS NOT NULL")
            guard isThere != [[.boolean(true)]] else { return try await Self.check(transaction) }
            // Of two demos that start together, one creates it.
            try await transaction.execute("SELECT pg_advisory_xact_lock(hashtext('idemptx_demo_charge'))::text")
            try await transaction.execute(
                """
                CREATE TABLE IF NOT EXISTS idemptx_demo_charge (
                    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
                    amount bigint NOT NULL,
                    currency text NOT NULL,
                    reference text,
                    attempt bigint NOT NULL
                )
                """)
        }
    }

    /// Checks that the table is one to keep charges in: what cannot be done with it fails here already.
    private static func check(_ transaction: PostgresTransaction) async throws {
        try await transaction.execute("EXPLAIN \(Self.select)")
        try await transaction.execute("EXPLAIN \(Self.insert)", [.integer(1), .text("EUR"), .null, .integer(1)])
    }

    func add(_ order: ChargeOrder, attempt: Int) async throws -> Charge {
        var charge: Charge?
        try await self.store.withTransaction { transaction in
            charge = try await self.add(order, attempt: attempt, in: transaction)
        }
        guard let charge else { throw UnexpectedRow() }
        return charge
    }

    func add(_ order: ChargeOrder, attempt: Int, in transaction: PostgresTransaction) async throws -> Charge {
        let rows = try await transaction.execute(
            Self.insert,
            [
                .integer(Int64(order.amount)), .text(order.currency ?? "EUR"),
                order.reference.map { .text($0) } ?? .null,
                .integer(Int64(attempt)),
            ])
        guard let row = rows.first else { throw UnexpectedRow() }
        return try Charge(row: row)
    }

    func all() async throws -> [Charge] {
        try await self.rows(Self.select + " ORDER BY id").map { try Charge(row: $0) }
    }

    func charge(_ id: Int64) async throws -> Charge? {
        try await self.rows(Self.select + " WHERE id = $1", [.integer(id)]).first.map { try Charge(row: $0) }
    }

    private static let insert = """
        INSERT INTO idemptx_demo_charge (amount, currency, reference, attempt) VALUES ($1, $2, $3, $4)
        RETURNING id, amount, currency, reference, attempt
        """

    private static let select = "SELECT id, amount, currency, reference, attempt FROM idemptx_demo_charge"

    private func rows(_ sql: String, _ parameters: [PostgresValue] = []) async throws -> [[PostgresValue]] {
        var rows: [[PostgresValue]] = []
        try await self.store.withTransaction { transaction in rows = try await transaction.execute(sql, parameters) }
        return rows
    }
}

/// The server sent something else than a row of the ledger.
private struct UnexpectedRow: Error {}

extension Charge {
    fileprivate init(row: [PostgresValue]) throws {
        guard row.count == 5, case .integer(let id) = row[0], case .integer(let amount) = row[1],
            case .text(let currency) = row[2], case .integer(let attempt) = row[4]
        else { throw UnexpectedRow() }
        var reference: String?
        if case .text(let text) = row[3] { reference = text }
        self.init(
            id: id, amount: Int(amount), currency: currency, reference: reference, attempt: Int(attempt))
    }
}
