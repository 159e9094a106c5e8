/// Lets so many tasks go on at a time, in the order of their arrival.
///
/// Dozens of servers that start at once keep each other, and those who call them, from being in time.
actor Turns {
    @TaskLocal private static var isHeld = false

    private var free: Int
    private var waiters: [CheckedContinuation<Void, Never>] = []

    init(atATime count: Int) { self.free = count }

    /// Runs `body` in its turn, or at once where the caller already has one.
    nonisolated func run<Value>(_ body: () async throws -> Value) async rethrows -> Value {
        if Self.isHeld { return try await body() }
        await self.take()
        do {
            let value = try await Self.$isHeld.withValue(true, operation: body)
            await self.giveBack()
            return value
        } catch {
            await self.giveBack()
            throw error
        }
    }

    private func take() async {
        guard self.free == 0 else {
            self.free -= 1
            return
        }
        await withCheckedContinuation { self.waiters.append($0) }
    }

    private func giveBack() {
        guard self.waiters.isEmpty else { return self.waiters.removeFirst().resume() }
        self.free += 1
    }
}
