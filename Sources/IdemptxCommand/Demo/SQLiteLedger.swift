import GRDB

/// The demo's own data in SQLite.
struct SQLiteLedger: TransactionalLedger {
    let database: DatabasePool

    init(path: String) throws(CommandError) {
        do {
            var configuration = Configuration()
            configuration.busyMode = .timeout(5)
            self.database = try DatabasePool(path: path, configuration: configuration)
            try self.database.write { db in
                try db.execute(
                    sql: """
                        CREATE TABLE IF NOT EXISTS charge (
                            id INTEGER PRIMARY KEY,
                            amount INTEGER NOT NULL,
                            currency TEXT NOT NULL,
                            reference TEXT,
                            attempt INTEGER NOT NULL
                        ) STRICT
                        """)
                // A ledger of before there were references is still of use.
                if try !db.columns(in: "charge").contains(where: { $0.name == "reference" }) {
                    try db.execute(sql: "ALTER TABLE charge ADD COLUMN reference TEXT")
                }
            }
        } catch {
            let reason = (error as? DatabaseError)?.message ?? "\(error)"
            throw CommandError("--ledger: '\(path)' cannot be opened: \(reason).")
        }
    }

    func add(_ order: ChargeOrder, attempt: Int) async throws -> Charge {
        try await self.database.write { db in try self.add(order, attempt: attempt, in: db) }
    }

    func add(_ order: ChargeOrder, attempt: Int, in db: Database) throws -> Charge {
        let currency = order.currency ?? "EUR"
        try db.execute(
            sql: "INSERT INTO charge (amount, currency, reference, attempt) VALUES (?, ?, ?, ?)",
            arguments: [order.amount, currency, order.reference, attempt])
        return Charge(
            id: db.lastInsertedRowID, amount: order.amount, currency: currency, reference: order.reference,
            attempt: attempt)
    }

    func all() async throws -> [Charge] {
        try await self.database.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM charge ORDER BY id").map(Charge.init(row:))
        }
    }

    func charge(_ id: Int64) async throws -> Charge? {
        try await self.database.read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM charge WHERE id = ?", arguments: [id]).map(Charge.init(row:))
        }
    }
}

extension Charge {
    fileprivate init(row: Row) {
        self.init(
            id: row["id"], amount: row["amount"], currency: row["currency"], reference: row["reference"],
            attempt: row["attempt"])
    }
}
