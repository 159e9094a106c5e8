import Hummingbird
import NIOCore

/// The body of a request whose client waits for leave to send it (RFC 9110, section 10.1.1).
struct ExpectedBody: AsyncSequence, Sendable {
    struct AsyncIterator: AsyncIteratorProtocol {
        var body: RequestBody.AsyncIterator
        let exchange: ClientExchange

        @concurrent
        mutating func next() async throws -> ByteBuffer? {
            self.exchange.bodyIsWanted()
            return try await self.body.next()
        }
    }

    let body: RequestBody
    let exchange: ClientExchange

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(body: self.body.makeAsyncIterator(), exchange: self.exchange)
    }
}
