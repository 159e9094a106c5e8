import HTTPTypes
import Idemptx

/// What a client, or the caller of a function, gets.
struct ClientResponse: Sendable {
    var status: Int
    /// How the response came about, if it says so.
    var marker: IdempotencyStatus?
    var problem: IdempotencyProblem.Kind?
    var receipt: Receipt?
    /// The fingerprint of the request.
    var fingerprint: String?
    /// The body came without its end.
    var isCut = false

    /// The client's caller was cancelled, or what failed was no response.
    static let none = ClientResponse(status: 0)

    init(status: Int, problem: IdempotencyProblem.Kind? = nil, receipt: Receipt? = nil) {
        self.status = status
        self.problem = problem
        self.receipt = receipt
    }

    init(_ head: HTTPResponse, body: [UInt8]) {
        let text = String(decoding: body, as: UTF8.self)
        self.status = head.status.code
        self.marker = head.headerFields[.idempotencyStatus].flatMap { IdempotencyStatus(rawValue: $0) }
        self.fingerprint = head.headerFields[.idempotencySignature]
        self.problem = IdempotencyProblem.Kind.allCases.first {
            text.contains(IdempotencyProblem.defaultTypeBase + $0.rawValue + "\"")
        }
        self.receipt = Receipt(body: body)
    }

    /// Whether a client has what it wants.
    var isSuccess: Bool { (200..<300).contains(self.status) && !self.isCut }

    /// Whether it makes sense to ask again.
    var isTransient: Bool {
        self.isCut || self.status == 0 || self.status == 503 || self.status == 429
            || self.problem == .requestInProgress || self.problem == .outcomeUnknown
    }

    var description: String {
        let source = self.receipt.map { " from execution \($0.execution)" } ?? ""
        return
            "\(self.status) \(self.marker?.rawValue ?? "")\(self.problem?.rawValue ?? "")\(source)\(self.isCut ? ", cut" : "")"
    }
}
