import Synchronization

/// Wakes the one task that waits for it; rung beforehand, it wakes the next.
final class Bell: Sendable {
    private enum State {
        case silent
        case rung
        case awaited(CheckedContinuation<Void, Never>)
    }

    private let state = Mutex(State.silent)

    func ring() {
        let waiter = self.state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard case .awaited(let waiter) = state else {
                state = .rung
                return nil
            }
            state = .silent
            return waiter
        }
        waiter?.resume()
    }

    /// Waits until somebody rings, or `duration` is over.
    func wait(atMost duration: Duration, time: TimeSource) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                // A cancelled sleep means that somebody else rang.
                guard (try? await time.sleep(for: duration)) != nil else { return }
                self.ring()
            }
            await self.wait()
            group.cancelAll()
        }
    }

    private func wait() async {
        await withCheckedContinuation { continuation in
            let isRung = self.state.withLock { state in
                if case .rung = state {
                    state = .silent
                    return true
                }
                state = .awaited(continuation)
                return false
            }
            if isRung { continuation.resume() }
        }
    }
}
