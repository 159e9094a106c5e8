package import HTTPTypes
package import NIOCore

/// What a handler made of a request.
package enum HandledResult: Sendable {
    case response(HandledResponse)
    /// It is not the handler's business after all, and is forwarded like any other. What the handler has read of its body
    /// goes first.
    case forward(read: ByteBuffer)
}

/// The response of a handler.
package struct HandledResponse: Sendable {
    package enum Body: Sendable {
        case bytes(ByteBuffer)
        /// Is written as it comes. What is returned are the trailers.
        case stream(length: Int?, @Sendable (ResponseWriter) async throws -> [HTTPField])
    }

    package var head: HTTPResponse
    package var body: Body

    package init(head: HTTPResponse, body: Body) {
        self.head = head
        self.body = body
    }
}

/// Writes the body of a response as fast as its client takes it.
package struct ResponseWriter: Sendable {
    let process: NIOLoopBound<HandledProcess>

    /// Writes a piece of the body, and waits until there is room for the next one.
    ///
    /// - Throws: ``ClientLeft`` if the client has left.
    package func write(_ bytes: ByteBuffer) async throws {
        let process = self.process
        try await process.eventLoop.flatSubmit { process.value.write(bytes) }.get()
    }
}

/// The client has left, or the rest of the request will not come.
package struct ClientLeft: Error {
    package init() {}
}
