import HTTPTypes
import Idemptx

struct MyRequest: Sendable {
    var head: HTTPRequest
    var headers: HTTPFields { self.head.headerFields }
}

struct MyResponse: Sendable {
    static let failure = MyResponse(
        parts: ResponseParts(head: HTTPResponse(status: .internalServerError), body: .bytes([])))

    var parts: ResponseParts
}

struct MyAdapter: HTTPAdapter {
    func head(of request: MyRequest) -> HTTPRequest { request.head }
    func readBody(of request: inout MyRequest, within allowance: BodyAllowance) async throws -> [UInt8]? { [] }
    func takeApart(_ response: MyResponse) -> ResponseParts { response.parts }
    func assemble(_ parts: ResponseParts) -> MyResponse { MyResponse(parts: parts) }
    func response(to error: any Error, for request: MyRequest) -> MyResponse { .failure }
}

enum WritingAnAdapter {
    static func respond(
        to request: MyRequest,
        by idempotency: Idempotency,
        handler: @escaping @Sendable (MyRequest) async throws -> MyResponse
    ) async throws -> MyResponse {
        let response = try await idempotency.respond(
            to: request, through: MyAdapter(), scope: { try .credentials(in: $0.headers) },
            operation: { request, context in try await handler(request) })
        return response
    }
}
