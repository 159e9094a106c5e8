import Synchronization

/// A clock that stands still until a test moves it.
///
/// ```swift
/// let clock = ManualClock()
/// let idempotency = Idempotency(store: MemoryStore(clock: clock), clock: clock)
/// clock.advance(by: .seconds(31))
/// ```
public final class ManualClock: Clock, Sendable {
    /// A moment on a ``ManualClock``.
    public struct Instant: InstantProtocol {
        /// The time since the clock was made.
        public let offset: Duration

        /// The moment `duration` later.
        public func advanced(by duration: Duration) -> Instant { Instant(offset: self.offset + duration) }

        /// The time until `other`.
        public func duration(to other: Instant) -> Duration { other.offset - self.offset }

        /// Orders moments by time.
        public static func < (lhs: Instant, rhs: Instant) -> Bool { lhs.offset < rhs.offset }
    }

    private struct Sleeper {
        let deadline: Instant
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct Observer {
        let count: Int
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var now = Instant(offset: .zero)
        var lastID = 0
        var sleepers: [Int: Sleeper] = [:]
        var observers: [Observer] = []
    }

    private let state = Mutex(State())

    /// Creates a clock at its origin.
    public init() {}

    /// The present moment.
    public var now: Instant { self.state.withLock { $0.now } }

    /// The smallest step the clock can make.
    public var minimumResolution: Duration { .nanoseconds(1) }

    /// How many tasks are asleep.
    public var sleeperCount: Int { self.state.withLock { $0.sleepers.count } }

    /// Moves the clock and wakes all whose time has come.
    ///
    /// - Parameter duration: How far to move. A negative duration moves the clock back, as a wall clock may.
    public func advance(by duration: Duration) {
        let woken = self.state.withLock { state in
            state.now = state.now.advanced(by: duration)
            let due = state.sleepers.filter { $0.value.deadline <= state.now }
            for id in due.keys { state.sleepers[id] = nil }
            return due.values.sorted { $0.deadline < $1.deadline }
        }
        for sleeper in woken { sleeper.continuation.resume() }
    }

    /// Waits until some tasks are asleep, so that a test knows that moving the clock reaches them.
    ///
    /// - Parameter count: How many tasks have to be asleep.
    public func waitForSleepers(_ count: Int = 1) async {
        await withCheckedContinuation { continuation in
            let isReached = self.state.withLock { state in
                guard state.sleepers.count < count else { return true }
                state.observers.append(Observer(count: count, continuation: continuation))
                return false
            }
            if isReached { continuation.resume() }
        }
    }

    /// Sleeps until a test has moved the clock to `deadline`.
    public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
        let id = self.state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                self.enter(Sleeper(deadline: deadline, continuation: continuation), id: id)
                // The handler below has already run if the task was cancelled before it came here.
                if Task.isCancelled { self.wake(id) }
            }
        } onCancel: {
            self.wake(id)
        }
    }

    private func enter(_ sleeper: Sleeper, id: Int) {
        let (isDue, observers) = self.state.withLock { state -> (Bool, [Observer]) in
            guard sleeper.deadline > state.now else { return (true, []) }
            state.sleepers[id] = sleeper
            let count = state.sleepers.count
            let reached = state.observers.filter { $0.count <= count }
            state.observers.removeAll { $0.count <= count }
            return (false, reached)
        }
        if isDue { sleeper.continuation.resume() }
        for observer in observers { observer.continuation.resume() }
    }

    private func wake(_ id: Int) {
        let sleeper = self.state.withLock { $0.sleepers.removeValue(forKey: id) }
        sleeper?.continuation.resume(throwing: CancellationError())
    }
}
