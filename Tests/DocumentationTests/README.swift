import Hummingbird
import Idemptx
import IdemptxHummingbird
import IdemptxPostgres
import IdemptxRedis
import IdemptxSQLite

enum README {
    static func parameters(store: SQLiteStore) {
        let router = Router(context: AppContext.self)
        router.post(
            "orders",
            use: idempotent(store: store, keyTTL: .seconds(60), waitTimeout: .seconds(3)) { request, context in
                try await placeOrder(request, context)
            })
        router.group("orders").add(
            middleware: IdempotencyMiddleware(store: store, scope: .principal { _, context in context.userID }))
    }

    static func function(idempotency: Idempotency, order: Order, bank: Bank) async throws -> Receipt {
        let receipt = try await idempotency.run("charge", key: order.id) { context in
            try await bank.charge(order, reference: context.downstreamKey("bank"), fence: context.attempt)
        }
        return receipt
    }

    static func redis() throws -> RedisStore {
        let store = try RedisStore(url: "redis://localhost")
        return store
    }

    static func postgres() async throws -> PostgresStore {
        let store = try PostgresStore(url: "postgres://localhost/orders")
        try await store.migrate()
        return store
    }
}
