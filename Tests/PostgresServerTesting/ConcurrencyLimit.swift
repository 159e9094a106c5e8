/// Lets a limited number of tasks run at a time, in the order in which they came.
///
/// Dozens of servers that start at once keep each other, and those who call them, from being in time. Tests that share one
/// need time limits with room for the wait.
actor ConcurrencyLimit {
    @TaskLocal private static var isWithin = false

    private var free: Int
    private var waiters: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) { self.free = count }

    /// Runs `body` once there is room, or at once where the caller already counts.
    ///
    /// - Throws: What `body` throws; `CancellationError` if the caller was cancelled while it waited.
    nonisolated func run<Value>(_ body: () async throws -> Value) async throws -> Value {
        if Self.isWithin { return try await body() }
        await self.acquire()
        do {
            try Task.checkCancellation()
            let value = try await Self.$isWithin.withValue(true, operation: body)
            await self.release()
            return value
        } catch {
            await self.release()
            throw error
        }
    }

    private func acquire() async {
        guard self.free == 0 else {
            self.free -= 1
            return
        }
        await withCheckedContinuation { self.waiters.append($0) }
    }

    private func release() {
        guard self.waiters.isEmpty else { return self.waiters.removeFirst().resume() }
        self.free += 1
    }
}
