import HTTPTypes
import NIOHTTP1
import Synchronization

/// One request and its answer, as the connection that carries them sees them.
final class UpstreamExchange: Sendable {
    private struct State {
        var isSent = false
        var trailers: HTTPFields?
    }

    /// The head that the upstream gets, byte for byte.
    let head: HTTPRequestHead
    private let forwardInterim: @Sendable (HTTPResponse) -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - head: The head that the upstream gets.
    ///   - forwardInterim: Is handed each interim answer (1xx).
    init(head: HTTPRequestHead, forwardInterim: @escaping @Sendable (HTTPResponse) -> Void) {
        self.head = head
        self.forwardInterim = forwardInterim
    }

    /// Whether the upstream may have got the request; if not, nothing has run.
    var isSent: Bool { self.state.withLock { $0.isSent } }

    /// The trailers of the answer, once that has ended.
    var trailers: HTTPFields? { self.state.withLock { $0.trailers } }

    // MARK: The connection's view

    func beginSending() {
        self.state.withLock { $0.isSent = true }
    }

    /// The head did not leave this host as a whole, so that nobody can have acted on it.
    func sendingFailed() {
        self.state.withLock { $0.isSent = false }
    }

    func received(interim head: HTTPResponseHead) {
        self.forwardInterim(HTTPResponse(head))
    }

    func received(trailers: HTTPHeaders?) {
        self.state.withLock { $0.trailers = trailers.map { HTTPFields($0) } }
    }
}
