import Synchronization

/// Limits the connections to the upstream of the pools of all event loops together.
///
/// Each connection takes one slot. Pools that wait for a slot get one in the order in which they asked: a slot that is given
/// back goes to the first of them.
final class ConnectionBudget: Sendable {
    private struct State {
        var used = 0
        /// What the waiting pools do with a slot.
        var waiting: [@Sendable () -> Void] = []
        /// Called when a pool waits: the other pools may have an idle connection to close.
        var shortageHandlers: [@Sendable () -> Void] = []
    }

    private let limit: Int
    private let state = Mutex(State())
    // Copies that each request can read without the lock.
    private let usedCount = Atomic(0)
    private let waitingCount = Atomic(0)
    private let poolCount = Atomic(0)

    init(limit: Int) {
        self.limit = limit
    }

    /// Whether so many connections are in use that none should be given to a request that may not need it.
    var isTight: Bool { self.usedCount.load(ordering: .relaxed) * 2 >= self.limit }

    /// Whether a pool waits for a slot.
    var isShort: Bool { self.waitingCount.load(ordering: .relaxed) > 0 }

    /// How many connections each pool may have while others wait.
    var share: Int { self.limit / max(self.poolCount.load(ordering: .relaxed), 1) }

    /// Registers a pool.
    ///
    /// - Parameter onShortage: Called on any thread when another pool waits for a slot.
    func register(onShortage: @escaping @Sendable () -> Void) {
        self.poolCount.add(1, ordering: .relaxed)
        self.state.withLock { $0.shortageHandlers.append(onShortage) }
    }

    /// Takes a slot.
    ///
    /// - Returns: Whether there was one.
    func take() -> Bool {
        self.state.withLock { state in
            guard state.used < self.limit else { return false }
            state.used += 1
            self.usedCount.store(state.used, ordering: .relaxed)
            return true
        }
    }

    /// Takes a slot once there is one.
    ///
    /// - Parameter action: Called once, on any thread, with a slot taken.
    func takeLater(_ action: @escaping @Sendable () -> Void) {
        let shortageHandlers = self.state.withLock { state -> [@Sendable () -> Void]? in
            if state.used < self.limit {
                state.used += 1
                self.usedCount.store(state.used, ordering: .relaxed)
                return nil
            }
            state.waiting.append(action)
            self.waitingCount.store(state.waiting.count, ordering: .relaxed)
            return state.shortageHandlers
        }
        guard let shortageHandlers else { return action() }
        for handler in shortageHandlers { handler() }
    }

    /// Gives a slot back.
    func giveBack() {
        let next = self.state.withLock { state -> (@Sendable () -> Void)? in
            guard !state.waiting.isEmpty else {
                state.used -= 1
                self.usedCount.store(state.used, ordering: .relaxed)
                return nil
            }
            defer { self.waitingCount.store(state.waiting.count, ordering: .relaxed) }
            return state.waiting.removeFirst()
        }
        next?()
    }
}
