import Synchronization

/// What a task of a simulated process waits for: comes once, from outside of the process.
final class Resumption<Value: Sendable>: Sendable {
    private enum State {
        case idle
        case awaited(CheckedContinuation<Value, any Error>)
        case over(Result<Value, any Error>?)
    }

    private let owner: Int
    private let state = Mutex(State.idle)

    /// - Parameter owner: The process that waits.
    init(of owner: Int) {
        self.owner = owner
    }

    /// Waits; for no longer than the task is not cancelled, unless it ignores that.
    func value(ignoringCancellation: Bool = false) async throws -> Value {
        if ignoringCancellation { return try await self.wait() }
        return try await withTaskCancellationHandler {
            try await self.wait()
        } onCancel: {
            self.resume(.failure(CancellationError()))
        }
    }

    private func wait() async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let result = self.state.withLock { state -> Result<Value, any Error>? in
                guard case .over(let result) = state else {
                    state = .awaited(continuation)
                    return nil
                }
                return result
            }
            if let result { continuation.resume(with: result) }
        }
    }

    /// Ends the wait, unless it is over.
    ///
    /// - Returns: Whether this ended it.
    @discardableResult
    func resume(_ result: Result<Value, any Error>) -> Bool {
        let (isFirst, continuation) = self.state.withLock {
            state -> (Bool, CheckedContinuation<Value, any Error>?) in
            switch state {
            case .idle:
                state = .over(result)
                return (true, nil)
            case .awaited(let continuation):
                state = .over(nil)
                return (true, continuation)
            case .over: return (false, nil)
            }
        }
        guard let continuation else { return isFirst }
        Scheduler.shared.perform(as: self.owner) { continuation.resume(with: result) }
        return isFirst
    }
}
