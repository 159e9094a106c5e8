import Hummingbird
import IdemptxHummingbird
import IdemptxSQLite

struct NewOrder: Decodable {
    let item: String
}

struct Order: ResponseCodable {
    let id: Int
    let item: String
}

let store = try SQLiteStore(path: "orders.sqlite")
let router = Router()
router.post(
    "orders",
    use: idempotent(store: store) { request, context -> Order in
        let new = try await request.decode(as: NewOrder.self, context: context)
        // Runs once per key. A second attempt would return another number.
        return Order(id: .random(in: 1...1_000_000), item: new.item)
    }
)

let app = Application(router: router, services: [store])
try await app.runService()
