import Hummingbird
import Idemptx
import IdemptxPostgres
import IdemptxSQLite
import ServiceLifecycle

/// Where the demo keeps its charges and the records of its responses, and the routes that go with it.
struct DemoBackend {
    let store: any IdempotencyStore & KeyInspecting & Service
    let router: (Idempotency) -> Router<BasicRequestContext>
    /// Whether a charge and its record are committed together.
    let isJoined: Bool

    /// Opens what the settings say.
    init(_ settings: inout Settings) async throws {
        let path = try settings.value("ledger", default: "idemptx-ledger.sqlite")
        self.isJoined = try settings.value("sameTransaction", default: false)
        if self.isJoined, settings.place(of: "store") == nil {
            let ledger = try SQLiteLedger(path: path)
            let store = try SQLiteStore(ledger.database)
            self.store = store
            self.router = { PaymentsAPI(ledger: ledger).router(guardedBy: $0, in: store) }
            return
        }
        if self.isJoined, settings.place(of: "ledger") != nil {
            throw settings.error("ledger", "with --same-transaction the charges are kept beside the records.")
        }
        let store = try await StoreSettings(&settings).open()
        self.store = store
        switch (store as? PostgresStore, self.isJoined) {
        case (let postgres?, true):
            let ledger = try await Self.ledger(beside: postgres)
            self.router = { PaymentsAPI(ledger: ledger).router(guardedBy: $0, in: postgres) }
        case (nil, true):
            throw settings.error(
                "store",
                "with --same-transaction the records are kept in PostgreSQL or, without --store, in the ledger.")
        case (let postgres?, false) where settings.place(of: "ledger") == nil:
            self.router = PaymentsAPI(ledger: try await Self.ledger(beside: postgres)).router(guardedBy:)
        case (_, false):
            self.router = PaymentsAPI(ledger: try SQLiteLedger(path: path)).router(guardedBy:)
        }
    }

    private static func ledger(beside store: PostgresStore) async throws -> PostgresLedger {
        do {
            return try await PostgresLedger(beside: store)
        } catch let error as StoreError {
            throw CommandError("--store: \(error.message)")
        } catch let error as PostgresServerError {
            throw CommandError(
                "--store: the demo cannot keep its charges there: \(error.message) (\(error.sqlState)).")
        }
    }
}
