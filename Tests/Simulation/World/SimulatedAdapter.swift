import HTTPTypes
import Idemptx

/// A request as it reaches a simulated process.
struct IncomingRequest: Sendable {
    let id: Int
    let subject: Int
    let variant: Int
    let head: HTTPRequest
    let body: [UInt8]

    init(id: Int, subject: Int, variant: Int, key: String) {
        self.id = id
        self.subject = subject
        self.variant = variant
        self.body = Array("\(variant)".utf8)
        var head = HTTPRequest(method: .post, scheme: "http", authority: "shop.test", path: "/charges")
        head.headerFields[.idempotencyKey] = "\"\(key)\""
        head.headerFields[.contentLength] = "\(self.body.count)"
        self.head = head
    }
}

/// The simplest framework: responses are what the layer makes of them.
struct SimulatedAdapter: HTTPAdapter {
    func head(of request: IncomingRequest) -> HTTPRequest { request.head }

    func readBody(of request: inout IncomingRequest, within allowance: BodyAllowance) async throws -> [UInt8]? {
        allowance.take(request.body.count) ? request.body : nil
    }

    func takeApart(_ response: ResponseParts) -> ResponseParts { response }

    func assemble(_ parts: ResponseParts) -> ResponseParts { parts }

    func response(to error: any Error, for request: IncomingRequest) -> ResponseParts {
        let receipt = (error as? OperationFailure)?.receipt
        return ResponseParts(head: HTTPResponse(status: .internalServerError), body: .bytes(receipt?.body() ?? []))
    }
}

/// What an operation throws that fails after its effect.
struct OperationFailure: Error {
    let receipt: Receipt
}
