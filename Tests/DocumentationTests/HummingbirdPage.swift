import Hummingbird
import Idemptx
import IdemptxHummingbird
import IdemptxSQLite

enum HummingbirdPage {
    static func group(router: Router<AppContext>, store: SQLiteStore) {
        router.group("orders")
            .add(
                middleware: IdempotencyMiddleware(
                    store: store, scope: .principal { _, context in try context.accountID })
            )
            .post { request, context in try await placeOrder(request, context) }
    }

    static func middleware(store: SQLiteStore) -> IdempotencyMiddleware<AppContext> {
        let middleware = IdempotencyMiddleware<AppContext>(
            store: store, policy: IdempotencyPolicy { $0.onAbandoned = .refuse },
            scope: .principal { try $1.requireIdentity().accountID })
        return middleware
    }

    static func shared(router: Router<AppContext>, store: SQLiteStore) -> some ApplicationProtocol {
        let idempotency = Idempotency(store: store)
        router.post(
            "orders", use: idempotent(by: idempotency) { request, context in try await placeOrder(request, context) })
        let app = Application(router: router, services: [store, idempotency])
        return app
    }
}
