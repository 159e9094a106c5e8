import Synchronization

/// Tells the waiters of this process that a record changed in a store.
package final class ChangeHub: Sendable {
    /// That of the process: two handles on one file wake each other's waiters.
    package static let shared = ChangeHub()

    private struct Record: Hashable {
        let key: StorageKey
        let store: StoreIdentity
    }

    private struct State {
        var nextID: UInt64 = 0
        var listeners: [Record: [UInt64: AsyncStream<Void>.Continuation]] = [:]
    }

    private let state = Mutex(State())

    /// A stream for one consumer that hints at every change from now on; hints that have not been read yet are merged.
    package func changes(of key: StorageKey, in store: StoreIdentity) -> AsyncStream<Void> {
        let record = Record(key: key, store: store)
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let id = self.state.withLock { state in
            state.nextID += 1
            state.listeners[record, default: [:]][state.nextID] = continuation
            return state.nextID
        }
        continuation.onTermination = { [weak self] _ in self?.remove(id, of: record) }
        return stream
    }

    /// Hints to all listeners of a record that has changed.
    package func announce(_ key: StorageKey, in store: StoreIdentity) {
        let record = Record(key: key, store: store)
        let listeners = self.state.withLock { $0.listeners[record].map { Array($0.values) } } ?? []
        for listener in listeners { listener.yield() }
    }

    private func remove(_ id: UInt64, of record: Record) {
        self.state.withLock { state in
            state.listeners[record]?[id] = nil
            if state.listeners[record]?.isEmpty == true { state.listeners[record] = nil }
        }
    }
}
