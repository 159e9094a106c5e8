import Synchronization

/// Runs an operation and what follows it in one task of its own, which the cancellation of the caller does not reach.
///
/// A server cancels the task of a request whose caller hangs up (over HTTP/2), or when it has to stop; an operation that has
/// begun has to end all the same. The caller waits for what is handed over, and no longer: what follows may go on without
/// it, and must therefore not use anything that belongs to the caller.
///
/// - Parameters:
///   - isolation: Where the caller runs.
///   - executor: Where the task runs; `nil` for the common pool.
///   - operation: Runs while the caller waits.
///   - onStart: Gets a way to cancel the task.
///   - conclude: Runs after the operation, and hands the value over, early or late.
/// - Returns: What was handed over.
func shielded<Result: Sendable, Value: Sendable>(
    isolation: isolated (any Actor)? = #isolation,
    on executor: (any TaskExecutor)? = nil,
    _ operation: () async -> Result,
    onStart: @Sendable (@escaping @Sendable () -> Void) -> Void,
    then conclude: @escaping @Sendable (Result, Handover<Value>) async -> Void
) async -> Value {
    await withoutActuallyEscaping(operation) { operation in
        // Keeps this closure where the caller runs.
        _ = isolation
        // Safe: the task lets go of it before it hands anything over, and the caller waits for that.
        nonisolated(unsafe) let operation = operation
        let once = unsafe OnceOnly(operation)
        let handover = Handover<Value>()
        let task = startTask(on: executor) {
            let result = await once.run()
            await conclude(result, handover)
        }
        onStart { task.cancel() }
        return await handover.value
    }
}

/// Starts a task on the current thread, as far as it gets without waiting: no change of thread before the first wait.
///
/// With an executor, the task is enqueued on it and stays there.
@discardableResult
func startTask(
    on executor: (any TaskExecutor)? = nil, _ operation: @escaping @Sendable () async -> Void
) -> Task<Void, Never> {
    if let executor { return Task(executorPreference: executor) { await operation() } }
    guard #available(macOS 26.0, iOS 26.0, tvOS 26.0, visionOS 26.0, *) else { return Task { await operation() } }
    return Task.immediate { await operation() }
}

/// A closure that is let go of before its caller returns.
private final class OnceOnly<Result>: Sendable {
    // Safe: set before the task starts, taken by it once, while the caller waits.
    nonisolated(unsafe) private var operation: (() async -> Result)?

    init(_ operation: @escaping () async -> Result) {
        unsafe self.operation = operation
    }

    func run() async -> Result {
        guard let operation = unsafe self.operation.take() else { preconditionFailure("An operation ran twice") }
        return await operation()
    }
}

/// A value that one task hands over to another, once.
final class Handover<Value: Sendable>: Sendable {
    private enum State {
        case empty
        case awaited(CheckedContinuation<Value, Never>)
        case ready(Value)
        case taken
    }

    private let state = Mutex(State.empty)

    /// Hands a value over, unless one has been.
    ///
    /// - Returns: Whether it is this one.
    @discardableResult
    func fulfil(_ value: Value) -> Bool {
        let (isFirst, waiter) = self.state.withLock { state -> (Bool, CheckedContinuation<Value, Never>?) in
            switch state {
            case .empty:
                state = .ready(value)
                return (true, nil)
            case .awaited(let waiter):
                state = .taken
                return (true, waiter)
            case .ready, .taken: return (false, nil)
            }
        }
        waiter?.resume(returning: value)
        return isFirst
    }

    /// The value, if it is there; asked for instead of ``value``.
    var valueIfReady: Value? {
        self.state.withLock { state in
            guard case .ready(let value) = state else { return nil }
            state = .taken
            return value
        }
    }

    /// The value; asked for once.
    var value: Value {
        get async {
            await withCheckedContinuation { continuation in
                let value = self.state.withLock { state -> Value? in
                    guard case .ready(let value) = state else {
                        state = .awaited(continuation)
                        return nil
                    }
                    state = .taken
                    return value
                }
                if let value { continuation.resume(returning: value) }
            }
        }
    }
}
