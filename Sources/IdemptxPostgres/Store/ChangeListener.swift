import Idemptx
import Synchronization

/// Hints to the waiters of this process that records have changed, by one connection that listens for all of them.
///
/// A notification is sent only if the record says that somebody waits. A claim says so, in the same step in which it finds
/// the key in progress, if the key is heard here by then. So a waiter is hinted at the moment from which it is: the claim that
/// follows either sees the end of the attempt, or is told of it.
final class ChangeListener: Sendable {
    private struct State {
        var nextID: UInt64 = 0
        var waiters: [StorageKey: [UInt64: AsyncStream<Void>.Continuation]] = [:]
        /// Whether no notification is missed.
        var isListening = false
        var isStarted = false
        var task: Task<Void, Never>?
    }

    private let executor: any PostgresExecutor
    private let channel: String
    private let state = Mutex(State())

    init(executor: any PostgresExecutor, channel: String) {
        self.executor = executor
        self.channel = channel
    }

    deinit {
        self.state.withLock { $0.task }?.cancel()
    }

    /// Whether notifications about a key reach a waiter here.
    func hears(_ key: StorageKey) -> Bool {
        self.state.withLock { $0.isListening && $0.waiters[key] != nil }
    }

    /// A stream for one consumer; hints that have not been read yet are merged.
    func changes(of key: StorageKey) -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let (id, isHeard, startsListening) = self.state.withLock { state in
            state.nextID += 1
            state.waiters[key, default: [:]][state.nextID] = continuation
            defer { state.isStarted = true }
            return (state.nextID, state.isListening, !state.isStarted)
        }
        continuation.onTermination = { [weak self] _ in self?.remove(id, of: key) }
        if isHeard { continuation.yield() }
        if startsListening { self.startListening() }
        return stream
    }

    /// Hints to the waiters of a record that this process has changed, also if there are no notifications.
    func announce(_ key: StorageKey) {
        let waiters = self.state.withLock { $0.waiters[key].map { Array($0.values) } ?? [] }
        for waiter in waiters { waiter.yield() }
    }

    private func remove(_ id: UInt64, of key: StorageKey) {
        self.state.withLock { state in
            state.waiters[key]?[id] = nil
            if state.waiters[key]?.isEmpty == true { state.waiters[key] = nil }
        }
    }

    // MARK: Listening

    /// The connection belongs to no waiter, and stays for the next ones: it ends with the store.
    private func startListening() {
        let notifications = self.executor.listen(to: self.channel)
        let task = Task.detached { [weak self] in
            for await notification in notifications { self?.handle(notification) }
            self?.end()
        }
        self.state.withLock { $0.task = task }
    }

    private func handle(_ notification: PostgresNotification) {
        switch notification {
        case .listening:
            // What was missed until now is found out by asking.
            let waiters = self.state.withLock { state in
                state.isListening = true
                return state.waiters.values.flatMap(\.values)
            }
            for waiter in waiters { waiter.yield() }
        case .interrupted: self.state.withLock { $0.isListening = false }
        case .message(let message):
            if let key = StorageKey(message) { self.announce(key) }
        }
    }

    /// There are no notifications, or no more of them: those who wait ask by themselves, and the next one tries again.
    private func end() {
        self.state.withLock { state in
            state.isListening = false
            state.isStarted = false
        }
    }
}
