#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A clock as stores and the engine use it: the present moment as a ``Timestamp``, and a way to wait.
package struct TimeSource: Sendable {
    private let readNow: @Sendable () -> Timestamp
    private let sleepFor: @Sendable (Duration) async throws -> Void

    /// Uses a clock, whose origin is the moment of this call.
    ///
    /// - Parameter clock: Any clock. Two sources made of one clock at different moments have different origins.
    package init<C: Clock<Duration>>(_ clock: C) {
        let origin = clock.now
        self.readNow = { Timestamp(milliseconds: origin.duration(to: clock.now).wholeMilliseconds) }
        self.sleepFor = { try await clock.sleep(for: $0) }
    }

    private init(
        now: @escaping @Sendable () -> Timestamp,
        sleep: @escaping @Sendable (Duration) async throws -> Void
    ) {
        self.readNow = now
        self.sleepFor = sleep
    }

    /// The wall clock of the host: milliseconds since 1970.
    ///
    /// Processes on one host agree on it, also after a restart.
    package static let wallClock = TimeSource(
        now: { Timestamp(milliseconds: Int64(Date.now.timeIntervalSince1970 * 1000)) },
        sleep: { try await Task.sleep(for: $0) }
    )

    /// The present moment.
    package var now: Timestamp { self.readNow() }

    /// Waits for `duration`.
    ///
    /// - Parameter duration: How long to wait.
    /// - Throws: `CancellationError` if the task is cancelled.
    package func sleep(for duration: Duration) async throws {
        try await self.sleepFor(duration)
    }
}
