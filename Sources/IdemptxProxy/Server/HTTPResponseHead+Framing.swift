import HTTPTypes
import NIOHTTP1

extension HTTPResponseHead {
    /// The head of an HTTP/1.1 answer.
    init(_ head: HTTPResponse) {
        self.init(
            version: .http1_1,
            status: HTTPResponseStatus(statusCode: head.status.code, reasonPhrase: head.status.reasonPhrase),
            headers: HTTPHeaders(head.headerFields))
    }

    /// Says how the end of the answer is found (RFC 9112, section 6.3).
    ///
    /// - Parameters:
    ///   - method: The method of the request.
    ///   - isHTTP10: Whether the client does not know chunked bodies.
    ///   - closes: Whether the connection ends with the answer.
    /// - Returns: Whether a body follows.
    mutating func frame(for method: HTTPRequest.Method, isHTTP10: Bool, closes: Bool) -> Bool {
        self.headers.remove(name: "transfer-encoding")
        if closes { self.headers.replaceOrAdd(name: "connection", value: "close") }
        if self.status == .noContent {
            self.headers.remove(name: "content-length")
            return false
        }
        // The length, if any, is that of the body which another request would get.
        if method == .head || self.status == .notModified { return false }
        if !self.headers.contains(name: "content-length"), !isHTTP10 {
            self.headers.add(name: "Transfer-Encoding", value: "chunked")
        }
        return true
    }
}
