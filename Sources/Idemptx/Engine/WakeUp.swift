import Synchronization

/// Wakes the one task that waits for it; signalled beforehand, it wakes the next.
final class WakeUp: Sendable {
    private enum State {
        case idle
        case signalled
        case awaited(CheckedContinuation<Void, Never>)
    }

    private let state = Mutex(State.idle)

    func signal() {
        let waiter = self.state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard case .awaited(let waiter) = state else {
                state = .signalled
                return nil
            }
            state = .idle
            return waiter
        }
        waiter?.resume()
    }

    /// Waits for a signal, or until `duration` is over.
    func wait(atMost duration: Duration, time: TimeSource) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                // A cancelled sleep means that there was a signal.
                guard (try? await time.sleep(for: duration)) != nil else { return }
                self.signal()
            }
            await self.wait()
            group.cancelAll()
        }
    }

    private func wait() async {
        await withCheckedContinuation { continuation in
            let isSignalled = self.state.withLock { state in
                if case .signalled = state {
                    state = .idle
                    return true
                }
                state = .awaited(continuation)
                return false
            }
            if isSignalled { continuation.resume() }
        }
    }
}
