import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import IdemptxSQLite
import IdemptxTesting
import NIOCore
import Testing

enum GettingStarted {
    static func route(router: Router<BasicRequestContext>) throws -> some ApplicationProtocol {
        let store = try SQLiteStore(path: "orders.sqlite")
        router.post(
            "orders",
            use: idempotent(store: store, keyTTL: .seconds(60), waitTimeout: .seconds(3)) { request, context in
                try await placeOrder(request, context)
            })
        let app = Application(router: router, services: [store])
        return app
    }

    static func group(router: Router<BasicRequestContext>, store: SQLiteStore) {
        router.group("orders")
            .add(middleware: IdempotencyMiddleware(store: store))
            .post { request, context in try await placeOrder(request, context) }
    }

    static func middleware(router: Router<AppContext>, store: SQLiteStore) {
        let middleware = IdempotencyMiddleware<AppContext>(
            store: store, keyTTL: .seconds(7 * 24 * 60 * 60), waitTimeout: .seconds(10),
            policy: IdempotencyPolicy { $0.onAbandoned = .refuse },
            scope: .principal { request, context in try context.requireIdentity().accountID }
        )
        router.group("orders").add(middleware: middleware)
        middleware.idempotency.policy.mode = .enforce
    }

    static func keys(
        policy: inout IdempotencyPolicy,
        deliveryNumber: HTTPField.Name,
        messageID: HTTPField.Name,
        sender: HTTPField.Name
    ) throws {
        // A webhook that is delivered at least once, each under a number of its own: HTTPField.Name("X-GitHub-Delivery").
        policy.keySource = .header(deliveryNumber)
        // An API with the key in its JSON body.
        policy.keySource = .json(try JSONPointer("/idempotency_key"))
        // A form, a query, several headers together, or whatever a function finds in head and body.
        policy.keySource = .formField("request_id")
        policy.keySource = .queryItem("request_id")
        policy.keySource = .headers([messageID, sender])
        policy.keySource = .custom { head, body in head.headerFields[sender] }
    }

    static func function(store: SQLiteStore, message: Message, bank: Bank) async throws -> Receipt {
        let idempotency = Idempotency(store: store, policy: IdempotencyPolicy { $0.namespace = "transfers" })
        let fingerprint = try Fingerprint(of: message)
        let receipt = try await idempotency.run("transfer", key: message.id, fingerprint: fingerprint) { context in
            try await bank.transfer(message, reference: context.downstreamKey("bank"), fence: context.attempt)
        }
        return receipt
    }

    static func recovery(policy: inout IdempotencyPolicy, bank: Bank) {
        policy.onAbandoned = .recover { unknown in
            // The operation has given the bank its downstream key as the reference.
            guard let charge = try await bank.charge(reference: unknown.downstreamKey("bank")) else { return .rerun }
            return .complete(with: .response(StoredResponse(status: .created, body: charge.json)))
        }
    }

    static func test(app: some ApplicationProtocol, order: ByteBuffer) async throws {
        try await app.test(.router) { client in
            let first = try await client.execute(uri: "/orders", idempotencyKey: "k-1", body: order)
            let again = try await client.execute(uri: "/orders", idempotencyKey: "k-1", body: order)
            #expect(again.isReplay && again.body == first.body)
        }
    }
}
