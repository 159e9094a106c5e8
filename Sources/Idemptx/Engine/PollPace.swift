import Synchronization

/// When a group of waiters asks the store again: at a hint, or after a pause that grows.
final class PollPace: Sendable {
    private struct State {
        var isPolling = false
        /// The first poll is due at once.
        var isHinted = true
        var nextPoll = Timestamp(milliseconds: 0)
        var backoff = Backoff()
    }

    private let state = Mutex(State())
    private let wakeUp = WakeUp()

    /// The record may have changed.
    func hint() {
        self.state.withLock { $0.isHinted = true }
        self.wakeUp.signal()
    }

    /// The waiters have changed.
    func look() {
        self.wakeUp.signal()
    }

    /// Begins a poll.
    ///
    /// - Returns: `false` if none is due, or one is under way.
    func beginPoll(now: Timestamp) -> Bool {
        self.state.withLock { state in
            guard !state.isPolling, state.isHinted || state.nextPoll <= now else { return false }
            // A hint from now on may be about a change that this poll does not see.
            state.isHinted = false
            state.isPolling = true
            return true
        }
    }

    func endPoll(now: Timestamp) {
        self.state.withLock { state in
            state.isPolling = false
            state.nextPoll = now.advanced(by: state.backoff.next())
        }
        self.wakeUp.signal()
    }

    /// Waits for a hint, the end of a poll, the time for the next one, or `deadline`.
    func wait(until deadline: Timestamp, time: TimeSource) async {
        let nextPoll = self.state.withLock { $0.isPolling ? nil : $0.nextPoll }
        let pause = time.now.duration(to: min(deadline, nextPoll ?? deadline))
        await self.wakeUp.wait(atMost: max(.zero, pause), time: time)
    }
}
