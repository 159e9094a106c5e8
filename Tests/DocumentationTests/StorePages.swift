import GRDB
import Hummingbird
import Idemptx
import IdemptxHummingbird
import IdemptxPostgres
import IdemptxRedis
import IdemptxSQLite

enum StorePages {
    static func file(router: Router<BasicRequestContext>) throws -> some ApplicationProtocol {
        let store = try SQLiteStore(path: "idemptx.sqlite")
        let app = Application(router: router, services: [store])
        return app
    }

    static func database() throws -> SQLiteStore {
        let database = try DatabasePool(path: "shop.sqlite")
        let store = try SQLiteStore(database)
        return store
    }

    static func postgres(router: Router<BasicRequestContext>) async throws -> some ApplicationProtocol {
        let store = try PostgresStore(url: "postgres://localhost/orders")
        try await store.migrate()
        router.group("orders").add(middleware: IdempotencyMiddleware(store: store))
        let app = Application(router: router, services: [store])
        return app
    }

    static func transaction(idempotency: Idempotency, store: PostgresStore, order: Order) async throws -> Receipt {
        let receipt = try await idempotency.run("charge", key: order.id, in: store) { context, transaction in
            try await transaction.execute(
                "INSERT INTO charge (order_id, attempt) VALUES ($1, $2)",
                [.text(order.id), .integer(Int64(context.attempt))])
            return Receipt(order)
        }
        return receipt
    }

    static func redis(router: Router<BasicRequestContext>) throws -> some ApplicationProtocol {
        let store = try RedisStore(url: "redis://localhost")
        router.group("orders").add(middleware: IdempotencyMiddleware(store: store))
        let app = Application(router: router, services: [store])
        return app
    }
}
