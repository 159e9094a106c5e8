import Synchronization

/// Whether it makes sense to wait for the store, for requests that can do without it.
///
/// While the store does not reply, one request at a time asks it; the others do not wait.
final class StoreHealth: Sendable {
    private struct State {
        var failedUntil: Timestamp?
        var isProbing = false
    }

    /// How long a store that did not reply is left alone.
    private static let pause = Duration.seconds(1)

    private let state = Mutex(State())
    private let isOut = Atomic(false)
    private let time: TimeSource

    init(time: TimeSource) {
        self.time = time
    }

    /// Whether to ask the store; say what came of it.
    func mayAsk() -> Bool {
        self.state.withLock { state in
            guard let failedUntil = state.failedUntil else { return true }
            guard !state.isProbing, failedUntil <= self.time.now else { return false }
            state.isProbing = true
            return true
        }
    }

    func replied() {
        self.state.withLock { $0 = State() }
    }

    func failed() {
        self.state.withLock { $0 = State(failedUntil: self.time.now.advanced(by: Self.pause)) }
    }

    /// Records that a request was decided without the store.
    ///
    /// - Returns: Whether this begins an outage.
    func beginsOutage() -> Bool {
        !self.isOut.exchange(true, ordering: .relaxed)
    }

    /// Records that the store has decided a claim.
    ///
    /// - Returns: Whether this ends an outage.
    func endsOutage() -> Bool {
        self.isOut.load(ordering: .relaxed) && self.isOut.exchange(false, ordering: .relaxed)
    }
}
