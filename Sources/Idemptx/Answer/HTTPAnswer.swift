public import HTTPTypes

/// A complete answer to send.
public struct HTTPAnswer: Sendable {
    /// Status and header fields, without framing: `Content-Length` is the server's business.
    public var head: HTTPResponse

    /// The bytes of the body.
    public var body: [UInt8]

    /// Creates an answer.
    ///
    /// - Parameters:
    ///   - head: Status and header fields.
    ///   - body: The bytes of the body.
    public init(head: HTTPResponse, body: [UInt8] = []) {
        self.head = head
        self.body = body
    }

    /// The answer that repeats `response`.
    init(replaying response: StoredResponse) {
        self.init(
            head: HTTPResponse(status: response.status, headerFields: response.headerFields), body: response.body)
    }
}
