import HTTPTypes
import NIOHTTP1
import Synchronization

/// One request and its answer, as the connection that carries them sees them.
final class UpstreamExchange: Sendable {
    private struct State {
        var isSent = false
        var isAbandoned = false
        /// Tells the connection that nobody waits for the answer.
        var abandon: (@Sendable () -> Void)?
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

    /// Whether nobody waits for the answer.
    var isAbandoned: Bool { self.state.withLock { $0.isAbandoned } }

    /// Breaks the exchange off, since nobody waits for the answer.
    func abandon() {
        let abandon = self.state.withLock { state in
            state.isAbandoned = true
            defer { state.abandon = nil }
            return state.abandon
        }
        abandon?()
    }

    /// The trailers of the answer, once that has ended.
    var trailers: HTTPFields? { self.state.withLock { $0.trailers } }

    // MARK: The connection's view

    /// - Parameter abandon: Called from anywhere, once the exchange is to be broken off.
    /// - Returns: `false` if it has been broken off, and is not to be sent.
    func beginSending(abandon: @escaping @Sendable () -> Void) -> Bool {
        self.state.withLock { state in
            guard !state.isAbandoned else { return false }
            state.isSent = true
            state.abandon = abandon
            return true
        }
    }

    /// The head did not leave this host as a whole, so that nobody can have acted on it.
    func sendingFailed() {
        self.state.withLock { $0.isSent = false }
    }

    func received(interim head: HTTPResponseHead) {
        var interim = HTTPResponse(head)
        interim.headerFields = HTTPFields(HopByHop.removed(from: interim.headerFields))
        self.forwardInterim(interim)
    }

    func received(trailers: HTTPHeaders?) {
        self.state.withLock { state in
            state.trailers = trailers.map { HTTPFields($0) }
            state.abandon = nil
        }
    }
}
