/// How long to pause before trying again: a random part of a ceiling that doubles with every failure in a row.
///
/// Full jitter: clients that failed together do not come back together.
package struct Backoff: Sendable {
    /// The ceiling after the first failure.
    package var base: Duration
    /// The ceiling that is never exceeded.
    package var maximum: Duration
    /// A number from 0 to 1; random except in tests.
    package var jitter: @Sendable () -> Double
    /// Waits; a test may do without waiting.
    package var sleep: @Sendable (Duration) async throws -> Void

    /// Creates a backoff; by default, from 50 ms to 1 s.
    package init(
        base: Duration = .milliseconds(50),
        maximum: Duration = .seconds(1),
        jitter: @escaping @Sendable () -> Double = { Double.random(in: 0...1) },
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.base = base
        self.maximum = maximum
        self.jitter = jitter
        self.sleep = sleep
    }

    /// The pause after so many failures in a row.
    func pause(after failures: Int) -> Duration {
        // Twenty doublings exceed any maximum, and no integer.
        let ceiling = min(self.maximum, self.base * (1 << min(max(failures - 1, 0), 20)))
        return ceiling * self.jitter()
    }
}
