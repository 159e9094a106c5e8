import Hummingbird
import Idemptx
import IdemptxHummingbird
import IdemptxSQLite

enum ExactlyOnce {
    static func function(idempotency: Idempotency, order: Order, store: SQLiteStore) async throws -> Receipt {
        let receipt = try await idempotency.run("charge", key: order.id, in: store) { context, db in
            try order.charge(attempt: context.attempt, in: db)
        }
        return receipt
    }

    static func route(router: Router<BasicRequestContext>, store: SQLiteStore) {
        router.post(
            "orders",
            use: idempotent(in: store) { request, context, db in
                let order = try await request.decode(as: Order.self, context: context)
                try order.insert(db)
                return order
            })
    }
}
