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
        let ledgerPath = try settings.value("ledger", default: "idemptx-ledger.sqlite")
        guard try settings.value("sameTransaction", default: false) else {
            let api = try PaymentsAPI(ledger: SQLiteLedger(path: ledgerPath))
            self.store = try await StoreSettings(&settings).open()
            self.router = api.router(guardedBy:)
            self.isJoined = false
            return
        }
        self.isJoined = true
        if settings.place(of: "store") == nil {
            let ledger = try SQLiteLedger(path: ledgerPath)
            let store = try SQLiteStore(ledger.database)
            self.store = store
            self.router = { PaymentsAPI(ledger: ledger).router(guardedBy: $0, in: store) }
        } else if let store = try await StoreSettings(&settings).open() as? PostgresStore {
            let ledger = try await PostgresLedger(beside: store)
            self.store = store
            self.router = { PaymentsAPI(ledger: ledger).router(guardedBy: $0, in: store) }
        } else {
            throw settings.error(
                "store",
                "with --same-transaction the records are kept in PostgreSQL or, without --store, in the ledger.")
        }
    }
}
