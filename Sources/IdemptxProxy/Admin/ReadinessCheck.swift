import Idemptx
import Synchronization

/// Checks in bounded time that the store accepts writes.
///
/// Concurrent checks share one probe. While a probe has not returned, no other one is started.
final class ReadinessCheck: Sendable {
    private struct Probe: Sendable {
        let task: Task<Bool, Never>
        let start: Timestamp
    }

    private let store: StoreProbe
    private let timeout: Duration
    private let time: TimeSource
    private let current = Mutex<Probe?>(nil)

    /// - Parameters:
    ///   - store: The store.
    ///   - timeout: How long the store may take.
    ///   - clock: What that is measured by.
    init(store: any IdempotencyStore, timeout: Duration = .seconds(1), clock: some Clock<Duration> = ContinuousClock())
    {
        self.store = StoreProbe(store, timeout: timeout)
        self.timeout = timeout
        self.time = TimeSource(clock)
    }

    func isReady() async -> Bool {
        let probe = self.probe()
        guard probe.start.duration(to: self.time.now) < self.timeout else { return false }
        // Whichever comes first. A call to a store cannot be broken off, so that nothing here waits for its end.
        let (results, continuation) = AsyncStream.makeStream(of: Bool.self)
        let reply = Task { continuation.yield(await probe.task.value) }
        let timer = Task {
            guard (try? await self.time.sleep(for: self.timeout)) != nil else { return }
            continuation.yield(false)
        }
        defer {
            reply.cancel()
            timer.cancel()
        }
        return await results.first { _ in true } ?? false
    }

    /// The probe that is running, or a new one.
    private func probe() -> Probe {
        self.current.withLock { current in
            if let current { return current }
            let task = Task {
                let isReady = (try? await self.store.run()) != nil
                self.current.withLock { $0 = nil }
                return isReady
            }
            let probe = Probe(task: task, start: self.time.now)
            current = probe
            return probe
        }
    }
}
