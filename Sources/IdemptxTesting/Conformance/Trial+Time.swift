import Synchronization

extension Trial {
    /// How time passes in a trial: as its steps say, or for real, as close to them as the machine permits.
    final class Time: Sendable {
        let pace: StoreConformance.Pace
        private let tolerance: Int
        private let clock: ManualClock
        private let start = ContinuousClock.now
        private let passed = Mutex(Duration.zero)
        private let largestLag = Mutex(Duration.zero)

        init(pace: StoreConformance.Pace, tolerance: Int, clock: ManualClock) {
            self.pace = pace
            self.tolerance = tolerance
            self.clock = clock
        }

        func advance(units: Int) async throws {
            try self.check()
            let step = self.pace.unit * units
            let passed = self.passed.withLock { passed in
                passed += step
                return passed
            }
            if self.pace.isManual {
                self.clock.advance(by: step)
            } else {
                // Until a moment, not for a time: what a call took does not add up.
                try await Task.sleep(until: self.start + passed, clock: .continuous)
            }
        }

        /// Notes how far real time is ahead of the steps.
        func note() {
            guard !self.pace.isManual else { return }
            let lag = self.start.duration(to: .now) - self.passed.withLock { $0 }
            self.largestLag.withLock { $0 = max($0, lag) }
        }

        /// A law leaves more than its tolerance between what it does and the end of a lease or a lifetime.
        ///
        /// - Throws: ``OutOfStep`` if real time was ever ahead by more.
        func check() throws {
            self.note()
            if self.largestLag.withLock({ $0 }) > self.pace.unit * self.tolerance { throw OutOfStep() }
        }
    }
}
