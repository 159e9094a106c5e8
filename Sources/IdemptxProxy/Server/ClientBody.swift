import Hummingbird
import NIOCore

/// The body of a request, whose client may wait for leave to send it (RFC 9110, section 10.1.1).
///
/// Hummingbird takes the end of a connection, or of a task, for that of the body; half a body must not be passed on as the
/// whole.
struct ClientBody: AsyncSequence, Sendable {
    /// The client left in the middle of the body.
    struct CutOff: Error {}

    struct AsyncIterator: AsyncIteratorProtocol {
        var body: RequestBody.AsyncIterator
        let exchange: ClientExchange

        @concurrent
        mutating func next() async throws -> ByteBuffer? {
            self.exchange.bodyIsWanted()
            if let chunk = try await self.body.next() { return chunk }
            guard self.exchange.signals.isRequestComplete else { throw CutOff() }
            return nil
        }
    }

    let body: RequestBody
    let exchange: ClientExchange

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(body: self.body.makeAsyncIterator(), exchange: self.exchange)
    }
}
