/// The clock of a simulated process.
struct SimulatedClock: Clock {
    struct Instant: InstantProtocol {
        let milliseconds: Int

        func advanced(by duration: Duration) -> Instant {
            Instant(milliseconds: self.milliseconds + duration.milliseconds)
        }

        func duration(to other: Instant) -> Duration { .milliseconds(other.milliseconds - self.milliseconds) }

        static func < (lhs: Instant, rhs: Instant) -> Bool { lhs.milliseconds < rhs.milliseconds }
    }

    let life: ProcessLife

    var now: Instant { Instant(milliseconds: self.life.now.milliseconds) }

    var minimumResolution: Duration { .milliseconds(1) }

    func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        try await self.life.sleep(milliseconds: max(0, deadline.milliseconds - self.now.milliseconds))
    }
}

extension Duration {
    /// In whole milliseconds, rounded up.
    var milliseconds: Int {
        let (seconds, attoseconds) = self.components
        return Int(seconds) * 1000 + Int((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
