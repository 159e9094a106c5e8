import Synchronization

/// What a connection, or a stream of HTTP/2, tells about its client while a request is answered.
final class ClientSignals: Sendable {
    private struct State {
        /// The number of the request that is being answered, and of the last one that has come with all of its body.
        var current = 0
        var lastComplete = 0
        var hasLeft = false
        var onDeparture: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    // MARK: The answering side

    /// The next request is being answered.
    func beginRequest() {
        self.state.withLock { $0.current += 1 }
    }

    /// The request has been answered.
    func endRequest() {
        self.state.withLock { $0.onDeparture = nil }
    }

    /// Whether all of the request's body has come.
    ///
    /// Neither the end of a connection nor that of a task are the end of a body.
    var isRequestComplete: Bool { self.state.withLock { $0.current <= $0.lastComplete } }

    /// Calls `action` once the client is gone, if that is before the end of the request; at once if it is gone already.
    func onDeparture(_ action: @escaping @Sendable () -> Void) {
        let hasLeft = self.state.withLock { state in
            state.onDeparture = action
            return state.hasLeft
        }
        if hasLeft { action() }
    }

    // MARK: The connection's side

    func requestEnded() {
        self.state.withLock { $0.lastComplete += 1 }
    }

    func clientLeft() {
        let action = self.state.withLock { state in
            state.hasLeft = true
            defer { state.onDeparture = nil }
            return state.onDeparture
        }
        action?()
    }
}
