import GRDB
import Hummingbird
import Idemptx
import IdemptxPostgres

// What the examples of the documentation take for granted. That they are compiled is the test.

struct Order: ResponseCodable, Sendable {
    let id: String

    func insert(_ db: Database) throws {
        try db.execute(sql: "INSERT INTO customerOrder (id) VALUES (?)", arguments: [self.id])
    }

    func charge(attempt: Int, in db: Database) throws -> Receipt {
        try db.execute(sql: "INSERT INTO charge (orderID, attempt) VALUES (?, ?)", arguments: [self.id, attempt])
        return Receipt(self)
    }
}

struct Receipt: Codable, Sendable {
    let orderID: String

    init(_ order: Order) {
        self.orderID = order.id
    }
}

struct Message: Codable, Sendable {
    let id: String
}

struct Charge: Sendable {
    let json: [UInt8]
}

struct Bank: Sendable {
    func charge(_ order: Order, reference: String, fence: Int) async throws -> Receipt { Receipt(order) }

    func charge(reference: String) async throws -> Charge? { nil }

    func transfer(_ message: Message, reference: String, fence: Int) async throws -> Receipt {
        Receipt(Order(id: message.id))
    }
}

struct Account: Sendable {
    let accountID: String
}

struct AppContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    var userID = ""
    var accountID: String { get throws { try self.requireIdentity().accountID } }

    init(source: Source) {
        self.coreContext = .init(source: source)
    }

    func requireIdentity() throws -> Account { Account(accountID: self.userID) }
}

func placeOrder(_ request: Request, _ context: some RequestContext) async throws -> Order {
    try await request.decode(as: Order.self, context: context)
}
