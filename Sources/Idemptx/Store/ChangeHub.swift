import Synchronization

/// Tells the waiters of this process that a record changed.
///
/// A building block for stores: call ``announce(_:)`` after a completion, release or removal has taken effect, and
/// return ``changes(of:)`` from the requirement of the same name.
public final class ChangeHub: Sendable {
    private struct State {
        var nextID: UInt64 = 0
        var listeners: [StorageKey: [UInt64: AsyncStream<Void>.Continuation]] = [:]
    }

    private let state = Mutex(State())

    /// Creates a hub without listeners.
    public init() {}

    /// A stream that hints at every change announced from now on.
    ///
    /// Hints that have not been read yet are merged.
    ///
    /// - Parameter key: The record in question.
    /// - Returns: A stream for one consumer.
    public func changes(of key: StorageKey) -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let id = self.state.withLock { state in
            state.nextID += 1
            state.listeners[key, default: [:]][state.nextID] = continuation
            return state.nextID
        }
        continuation.onTermination = { [weak self] _ in self?.remove(id, of: key) }
        return stream
    }

    /// Hints to all listeners of `key`.
    ///
    /// - Parameter key: The record that changed.
    public func announce(_ key: StorageKey) {
        let listeners = self.state.withLock { $0.listeners[key].map { Array($0.values) } } ?? []
        for listener in listeners { listener.yield() }
    }

    private func remove(_ id: UInt64, of key: StorageKey) {
        self.state.withLock { state in
            state.listeners[key]?[id] = nil
            if state.listeners[key]?.isEmpty == true { state.listeners[key] = nil }
        }
    }
}
