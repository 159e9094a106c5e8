import HTTPTypes
import Idemptx

/// The smallest adapter: leads a request through the steps of the runner.
struct GuardedService: Sendable {
    typealias Handler = @Sendable (IdempotencyContext?) async throws -> HTTPAnswer

    let idempotency: Idempotency

    init(_ idempotency: Idempotency) {
        self.idempotency = idempotency
    }

    func send(
        _ method: HTTPRequest.Method = .post,
        key: String?,
        body: String = "",
        headers: HTTPFields = [:],
        handler: Handler = { _ in HTTPAnswer(head: HTTPResponse(status: .ok)) }
    ) async throws -> HTTPAnswer {
        let request = self.request(method, key: key, headers: headers, length: body.utf8.count)
        switch self.idempotency.screen(request) {
        case .pass: return try await handler(nil)
        case .answer(let answer): return answer
        case .guarded(var guarded):
            guard body.utf8.count <= guarded.maxBodySize else {
                guard case .answer(let answer) = self.idempotency.refuseBody(of: guarded) else {
                    return try await handler(nil)
                }
                return answer
            }
            guarded.update(body: Array(body.utf8))
            switch try await self.idempotency.admit(guarded, scope: .authorization(in: request.headerFields)) {
            case .pass: return try await handler(nil)
            case .answer(let answer): return answer
            case .execute(let execution):
                var answer = try await handler(execution.context)
                answer.head = await execution.finish(answer.head, body: .bytes(answer.body))
                return answer
            }
        }
    }

    /// Starts an execution and forgets it.
    func abandon(key: String) async throws {
        _ = try await self.execution(key: key)
    }

    /// The execution of a request that may run.
    func execution(key: String) async throws -> Execution {
        guard case .guarded(let guarded) = self.idempotency.screen(self.request(.post, key: key)),
            case .execute(let execution) = try await self.idempotency.admit(
                guarded, scope: .authorization(in: [:]))
        else { throw NotExecuted() }
        return execution
    }

    struct NotExecuted: Error {}

    private func request(
        _ method: HTTPRequest.Method,
        key: String?,
        headers: HTTPFields = [:],
        length: Int = 0
    ) -> HTTPRequest {
        var fields = headers
        if fields[.contentLength] == nil { fields[.contentLength] = "\(length)" }
        if let key { fields[.idempotencyKey] = key }
        return HTTPRequest(
            method: method, scheme: "https", authority: "example.com", path: "/charges", headerFields: fields)
    }
}
