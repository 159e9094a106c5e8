extension Idempotency {
    private static var countingInterval: Duration { .seconds(60) }
    /// A store that has to search for unknown outcomes is asked so rarely that it spends a hundredth of its time on it.
    private static var pausePerCount: Int { 100 }

    /// Tells metrics again and again how many outcomes are unknown, until the task is cancelled.
    ///
    /// Returns at once if no metrics backend is installed, or the store cannot count.
    package func recordUnknownOutcomes() async {
        guard self.telemetry.isMeasured, let store = self.store as? any UnknownOutcomeCounting else { return }
        while !Task.isCancelled {
            let start = self.time.now
            do {
                self.telemetry.recordUnknown(try await store.unknownCount(), in: self.store.identity)
            } catch {
                // The next count makes up for it.
                if !Task.isCancelled { self.telemetry.unknownNotCounted(StoreError(wrapping: error)) }
            }
            let pause = max(Self.countingInterval, start.duration(to: self.time.now) * Self.pausePerCount)
            guard (try? await self.time.sleep(for: pause)) != nil else { return }
        }
    }

    /// Does ``recordUnknownOutcomes()`` beside `body`, whose end does not wait for a store that does not reply.
    package func recordingUnknownOutcomes(during body: () async throws -> Void) async rethrows {
        let recording = startTask { await self.recordUnknownOutcomes() }
        defer { recording.cancel() }
        try await body()
    }
}
