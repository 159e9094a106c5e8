package import HTTPTypes
package import NIOCore

/// What an embedding program decides and does about requests.
package protocol RequestHandler: AnyObject, Sendable {
    /// Decides from the head, on the event loop that read it, whether a request is the handler's business.
    ///
    /// - Parameter head: The head; it is not converted.
    /// - Returns: What becomes of the request.
    func route(_ head: RequestHead) -> RequestRoute

    /// Returns the changes to the fields of a response, be it the upstream's, a handler's or the proxy's own. On the event loop.
    ///
    /// - Parameters:
    ///   - method: The method of the request.
    ///   - field: The first value of one of its fields, by the name.
    /// - Returns: `nil`, for nearly every program, if nothing changes.
    func responseChanges(to method: String, field: (_ name: String) -> String?) -> FieldChanges?

    /// Responds to a request for which ``route(_:)`` returned ``RequestRoute/handle``.
    ///
    /// It goes on when the client leaves.
    func handle(_ request: HandledRequest) async throws -> HandledResult

    /// The response of the proxy itself.
    func problem(_ failure: ProxyFailure) -> ProblemResponse

    /// The head of a response came from the upstream, so long after the request was sent. On the event loop.
    func upstreamResponded(after duration: TimeAmount)

    /// The upstream did not respond. On the event loop.
    func upstreamFailed(_ failure: ProxyFailure)

    /// Called once for each request when it has ended, with or without a response. On the event loop.
    func ended(_ record: RequestRecord)
}

extension RequestHandler {
    package func responseChanges(to method: String, field: (_ name: String) -> String?) -> FieldChanges? { nil }
}

/// What becomes of a request.
package enum RequestRoute: Sendable {
    /// It passes, on the event loop that read it.
    case forward
    /// The handler responds to it.
    case handle
}

/// A small response that is made on the event loop.
package struct ProblemResponse: Sendable {
    package var head: HTTPResponse
    package var body: [UInt8]

    package init(head: HTTPResponse, body: [UInt8]) {
        self.head = head
        self.body = body
    }
}
