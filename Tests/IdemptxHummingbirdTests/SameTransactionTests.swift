import Foundation
import GRDB
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import IdemptxSQLite
import IdemptxTesting
import NIOCore
import TestSupport
import Testing

@Suite("A route in one transaction with its record")
struct SameTransactionTests {
    private let directory = NSTemporaryDirectory() + "/idemptx-" + UUID().uuidString
    private let pool: DatabasePool
    private let ledger = Ledger()

    init() throws {
        try FileManager.default.createDirectory(atPath: self.directory, withIntermediateDirectories: true)
        self.pool = try DatabasePool(path: self.directory + "/application.sqlite")
        try self.pool.write { db in try db.execute(sql: "CREATE TABLE purchase (id INTEGER PRIMARY KEY, amount INT)") }
    }

    private func app() throws -> some ApplicationProtocol {
        let router = Router()
        let ledger = self.ledger
        let store = try SQLiteStore(self.pool)
        router.post(
            "orders",
            use: idempotent(in: store, required: false, scope: .anonymous) { request, context, db in
                ledger.add()
                let order = try await request.decode(as: Order.self, context: context)
                try db.execute(sql: "INSERT INTO purchase (amount) VALUES (?)", arguments: [order.amount])
                if order.amount == 409 { throw HTTPError(.conflict) }
                if order.amount == 429 {
                    return EditedResponse(status: .tooManyRequests, response: Charge(id: 0, amount: 0))
                }
                return EditedResponse(
                    status: .created, response: Charge(id: Int(db.lastInsertedRowID), amount: order.amount))
            })
        // Opens the transaction itself, and returns something else than it has stored.
        router.post(
            "own",
            use: idempotent(store: store, scope: .anonymous) { [pool] _, _ in
                let attempt = IdempotencyContext.current
                ledger.add()
                try await pool.write { db in
                    try db.execute(sql: "INSERT INTO purchase (amount) VALUES (7)")
                    try attempt?.complete(
                        with: StoredResponse(status: .created, body: Array("stored".utf8)), in: db)
                }
                return "returned"
            })
        return Application(router: router)
    }

    private func amounts() async throws -> [Int] {
        try await self.pool.read { db in try Int.fetchAll(db, sql: "SELECT amount FROM purchase ORDER BY id") }
    }

    @Test("commits, sends and replays one response", arguments: everySetup)
    func replays(setup: TestingSetup) async throws {
        try await self.app().test(setup) { client in
            let first = try await client.execute(uri: "/orders", idempotencyKey: "k-1", body: .order(5))
            let again = try await client.execute(uri: "/orders", idempotencyKey: "k-1", body: .order(5))
            #expect(first.status == .created)
            #expect(first.idempotencyStatus == .new)
            #expect(again.isReplay)
            #expect(again.repeatable == first.repeatable)
            let other = try await client.execute(uri: "/orders", idempotencyKey: "k-1", body: .order(6))
            #expect(try other.problemKind == .keyReused)
        }
        #expect(try await self.amounts() == [5])
        #expect(self.ledger.count == 1)
    }

    @Test("sends and replays the response that a handler has stored in a transaction of its own")
    func ownTransaction() async throws {
        try await self.app().test(.live) { client in
            let first = try await client.execute(uri: "/own", idempotencyKey: "k-1")
            let again = try await client.execute(uri: "/own", idempotencyKey: "k-1")
            #expect(first.status == .created)
            #expect(first.text == "stored")
            #expect(first.idempotencyStatus == .new)
            #expect(again.isReplay)
            #expect(again.repeatable == first.repeatable)
        }
        #expect(try await self.amounts() == [7])
        #expect(self.ledger.count == 1)
    }

    @Test("rolls back what fails, and replays the failure")
    func failure() async throws {
        try await self.app().test(.live) { client in
            let first = try await client.execute(uri: "/orders", idempotencyKey: "k-1", body: .order(409))
            let again = try await client.execute(uri: "/orders", idempotencyKey: "k-1", body: .order(409))
            #expect(first.status == .conflict)
            #expect(again.isReplay)
            #expect(again.repeatable == first.repeatable)
        }
        #expect(try await self.amounts().isEmpty)
        #expect(self.ledger.count == 1)
    }

    @Test("rolls back what frees the key, and runs it again")
    func release() async throws {
        try await self.app().test(.live) { client in
            for _ in 0..<2 {
                let response = try await client.execute(uri: "/orders", idempotencyKey: "k-1", body: .order(429))
                #expect(response.status == .tooManyRequests)
                #expect(!response.isReplay)
            }
        }
        #expect(try await self.amounts().isEmpty)
        #expect(self.ledger.count == 2)
    }

    @Test("runs a request without a key in a transaction, too")
    func unguarded() async throws {
        try await self.app().test(.live) { client in
            for (amount, status) in [(5, HTTPResponse.Status.created), (5, .created), (409, .conflict)] {
                let response = try await client.execute(uri: "/orders", method: .post, body: .order(amount))
                #expect(response.status == status)
            }
        }
        #expect(try await self.amounts() == [5, 5])
    }

    @Test("opens no transaction for a body that is too large to be read before")
    func tooLarge() async throws {
        try await self.app().test(.live) { client in
            let body = ByteBuffer(repeating: UInt8(ascii: " "), count: (1 << 20) + 1)
            let response = try await client.execute(uri: "/orders", method: .post, body: body)
            #expect(response.status == .contentTooLarge)
        }
        #expect(self.ledger.count == 0)
    }
}
