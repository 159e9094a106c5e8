import Synchronization

/// What a connection, or a stream of HTTP/2, tells about its client while a request is handled.
package final class ClientSignals: Sendable {
    package enum Signal: Int, Sendable, Comparable {
        /// The client sends nothing more: over HTTP/1, it may have left, or wait for its response (RFC 9112, section 9.6).
        case closedItsSide
        /// The client has left.
        case left

        package static func < (lhs: Signal, rhs: Signal) -> Bool { lhs.rawValue < rhs.rawValue }
    }

    private struct State {
        var last: Signal?
        var action: (@Sendable (Signal) -> Void)?
    }

    private let state = Mutex(State())

    /// What has happened so far.
    package var last: Signal? { self.state.withLock { $0.last } }

    /// Calls `action`, from anywhere, with what happens from now on, and at once with what has happened already.
    package func onSignal(_ action: @escaping @Sendable (Signal) -> Void) {
        let last = self.state.withLock { state in
            state.action = action
            return state.last
        }
        if let last { action(last) }
    }

    func send(_ signal: Signal) {
        let action = self.state.withLock { state -> (@Sendable (Signal) -> Void)? in
            if let last = state.last, last >= signal { return nil }
            state.last = signal
            return state.action
        }
        action?(signal)
    }

    /// The request is over.
    func end() {
        self.state.withLock { $0.action = nil }
    }
}
