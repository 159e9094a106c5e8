import HTTPTypes
import Idemptx
import Synchronization

/// A whole response.
struct TestResponse: Sendable {
    var head: HTTPResponse
    var body: [UInt8] = []
}

/// The smallest adapter: its requests are head and body, its responses are those of the driver.
struct TestAdapter: HTTPAdapter {
    struct Request: Sendable {
        let head: HTTPRequest
        let body: [UInt8]
    }

    func head(of request: Request) -> HTTPRequest { request.head }

    func readBody(of request: inout Request, within allowance: BodyAllowance) async throws -> [UInt8]? {
        allowance.take(request.body.count) ? request.body : nil
    }

    func takeApart(_ response: ResponseParts) -> ResponseParts { response }

    func assemble(_ parts: ResponseParts) -> ResponseParts { parts }

    func response(to error: any Error, for request: Request) -> ResponseParts {
        ResponseParts(head: HTTPResponse(status: .internalServerError))
    }
}

/// Leads requests through the driver.
struct GuardedService: Sendable {
    typealias Handler = @Sendable (IdempotencyContext?) async throws -> TestResponse

    /// The operation did not run.
    struct NotExecuted: Error {}

    let idempotency: Idempotency
    private let scope: @Sendable (TestAdapter.Request) throws -> Scope

    init(
        _ idempotency: Idempotency,
        scope: @escaping @Sendable (TestAdapter.Request) throws -> Scope = { .authorization(in: $0.head.headerFields) }
    ) {
        self.idempotency = idempotency
        self.scope = scope
    }

    func send(
        _ method: HTTPRequest.Method = .post,
        key: String?,
        path: String = "/charges",
        body: String = "",
        headers: HTTPFields = [:],
        policy: IdempotencyPolicy? = nil,
        handler: Handler = { _ in TestResponse(head: HTTPResponse(status: .ok)) }
    ) async throws -> TestResponse {
        let parts = try await self.respond(
            method, key: key, path: path, body: body, headers: headers, policy: policy
        ) { context in
            let response = try await handler(context)
            return ResponseParts(head: response.head, body: .bytes(response.body))
        }
        return TestResponse(head: parts.head, body: try await parts.sent())
    }

    /// Sends a request; the body of the response has not been read yet.
    func respond(
        _ method: HTTPRequest.Method = .post,
        key: String?,
        path: String = "/charges",
        body: String = "",
        headers: HTTPFields = [:],
        policy: IdempotencyPolicy? = nil,
        handler: @Sendable (IdempotencyContext?) async throws -> ResponseParts
    ) async throws -> ResponseParts {
        var fields = headers
        if fields[.contentLength] == nil { fields[.contentLength] = "\(body.utf8.count)" }
        if let key { fields[.idempotencyKey] = key }
        let head = HTTPRequest(
            method: method, scheme: "https", authority: "example.com", path: path, headerFields: fields)
        return try await self.idempotency.respond(
            to: TestAdapter.Request(head: head, body: Array(body.utf8)), through: TestAdapter(),
            scope: { try self.scope($0) }, policy: policy,
            operation: { _, context in try await handler(context) })
    }
}

extension ResponseParts {
    /// Reads all of the body, as a server does that sends it.
    ///
    /// - Parameter pause: Waits after each piece, as long as the connection takes; throws if it breaks.
    /// - Returns: The body.
    /// - Throws: What its producer throws.
    func sent(_ pause: @escaping @Sendable () async throws -> Void = {}) async throws -> [UInt8] {
        switch self.body {
        case .bytes(let bytes, _): return bytes
        case .producer(_, let produce):
            let received = Received()
            _ = try await produce {
                received.append($0)
                try await pause()
            }
            return received.bytes
        }
    }
}

/// What has come of a body.
final class Received: Sendable {
    private let state = Mutex<[UInt8]>([])

    var bytes: [UInt8] { self.state.withLock { $0 } }

    func append(_ bytes: [UInt8]) {
        self.state.withLock { $0 += bytes }
    }
}
