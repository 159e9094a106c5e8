import Synchronization

/// How many connections to the upstream there may be, for the pools of all event loops together.
final class ConnectionBudget: Sendable {
    private struct State {
        /// Who waits for a connection to be closed.
        var starving: [@Sendable () -> Void] = []
        /// Called when a pool waits: the other pools may have an idle connection to close.
        var shortageHandlers: [@Sendable () -> Void] = []
    }

    private let limit: Int
    private let used = Atomic(0)
    private let starvingCount = Atomic(0)
    private let state = Mutex(State())

    init(limit: Int) {
        self.limit = limit
    }

    /// Whether so many connections are in use that none should be given to a request that may not need it.
    var isTight: Bool { self.used.load(ordering: .relaxed) * 2 >= self.limit }

    /// Whether a pool of another event loop has no connection, and cannot make one.
    var hasStarving: Bool { self.starvingCount.load(ordering: .relaxed) > 0 }

    /// - Returns: Whether one more connection may be made.
    func take() -> Bool {
        let new = self.used.add(1, ordering: .relaxed).newValue
        guard new > self.limit else { return true }
        self.used.subtract(1, ordering: .relaxed)
        return false
    }

    /// A connection is no more.
    func giveBack() {
        self.used.subtract(1, ordering: .relaxed)
        self.notifyNext()
    }

    /// Notifies the next waiting pool that there is room.
    ///
    /// A pool that was notified but no longer needs a connection passes the notification on by this.
    func notifyNext() {
        guard self.hasStarving else { return }
        let next = self.state.withLock { state in
            state.starving.isEmpty ? nil : state.starving.removeFirst()
        }
        guard let next else { return }
        self.starvingCount.subtract(1, ordering: .relaxed)
        next()
    }

    /// Registers an action for when a pool waits for room.
    ///
    /// It is called on any thread.
    func onShortage(_ action: @escaping @Sendable () -> Void) {
        self.state.withLock { $0.shortageHandlers.append(action) }
    }

    /// Registers an action that is called once, on any thread, when a connection has been closed.
    ///
    /// The other pools are asked to close an idle connection.
    func onRoom(_ action: @escaping @Sendable () -> Void) {
        self.starvingCount.add(1, ordering: .relaxed)
        let shortageHandlers = self.state.withLock { state in
            state.starving.append(action)
            return state.shortageHandlers
        }
        for handler in shortageHandlers { handler() }
        // One may have become free in between, without a notification.
        if self.used.load(ordering: .relaxed) < self.limit {
            self.used.add(1, ordering: .relaxed)
            self.giveBack()
        }
    }
}
