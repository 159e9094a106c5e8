import Logging
import ServiceLifecycle

/// Sweeps a store at regular intervals until the service group shuts down.
package struct ExpirySweeper<Store: ExpirySweeping> {
    /// Small enough that a batch does not hold up the store's other work.
    private let batchSize = 500
    private let store: Store
    private let interval: Duration
    private let time: TimeSource

    package init(store: Store, interval: Duration, time: TimeSource) {
        self.store = store
        self.interval = interval
        self.time = time
    }

    package func run() async throws {
        try await cancelWhenGracefulShutdown {
            do {
                while true {
                    try await self.time.sleep(for: self.interval)
                    try await self.sweep()
                }
            } catch is CancellationError {
                return
            }
        }
    }

    private func sweep() async throws {
        do {
            while try await self.store.sweepExpired(limit: self.batchSize) == self.batchSize {
                await Task.yield()
            }
        } catch let error as StoreError {
            // The next sweep makes up for it; nothing but space depends on one.
            Logger.current.info("Expired records were not swept", metadata: ["idempotency.error": "\(error)"])
        }
    }
}
