/// Runs `operation` in a task of its own, which the cancellation of the caller does not reach.
///
/// A server cancels the task of a request whose caller hangs up (over HTTP/2), or when it has to stop; an operation that
/// has begun has to end all the same.
///
/// - Parameters:
///   - isolation: Where the caller runs.
///   - operation: Runs while the caller waits.
///   - onStart: Is handed a way to cancel the operation.
/// - Returns: What `operation` returns.
/// - Throws: What `operation` throws.
func shielded<Value: Sendable>(
    isolation: isolated (any Actor)? = #isolation,
    _ operation: () async throws -> Value,
    onStart: @Sendable (@escaping @Sendable () -> Void) -> Void
) async throws -> Value {
    try await withoutActuallyEscaping(operation) { operation in
        // Keeps this closure where the caller runs.
        _ = isolation
        // Safe: the caller waits for the end of the task, so that the two never use what is captured at the same time.
        nonisolated(unsafe) let operation = operation
        let run: @Sendable () async throws -> Value = { unsafe try await operation() }
        let task = Task { try await run() }
        onStart { task.cancel() }
        return try await task.value
    }
}
