import Hummingbird
import Idemptx
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
        let ledger = try SQLiteLedger(path: settings.value("ledger", default: "idemptx-ledger.sqlite"))
        let isJoined = try settings.value("sameTransaction", default: false)
        let api = PaymentsAPI(ledger: ledger)
        if isJoined {
            guard settings.place(of: "store") == nil else {
                throw settings.error("store", "with --same-transaction the records are kept in the ledger.")
            }
            let store = try SQLiteStore(ledger.database)
            self.store = store
            self.router = { api.router(guardedBy: $0, in: store) }
        } else {
            self.store = try await StoreSettings(&settings).open()
            self.router = api.router(guardedBy:)
        }
        self.isJoined = isJoined
    }
}
