public import Hummingbird
public import Idemptx

extension IdempotencyProblem: HTTPResponseError {
    /// The problem details, for a handler that calls `Idempotency.run` itself and lets its problems pass.
    public func response(from request: Request, context: some RequestContext) throws -> Response {
        Response(self.answer)
    }
}
