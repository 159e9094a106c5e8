import Synchronization

/// An estimate of the server's clock from the times in its replies, never later than the clock itself.
///
/// The servers of a cluster share one estimate: their clocks have to agree to within a fraction of a claim's timeout.
package final class ServerClock: Sendable {
    private struct Estimate {
        /// The server's time less the time here, in milliseconds, or less than that.
        var offset: Int64
        var takenAt: Int64
    }

    /// How long an estimate is trusted without being confirmed: clocks drift.
    private static let lifetime: Int64 = 60_000

    private let origin = ContinuousClock.now
    private let estimate = Mutex<Estimate?>(nil)

    /// Creates an estimate that knows nothing yet.
    package init() {}

    private func milliseconds(at instant: ContinuousClock.Instant) -> Int64 {
        self.origin.duration(to: instant).wholeMilliseconds
    }

    /// Learns from a reply that told the time.
    ///
    /// - Parameters:
    ///   - serverTime: What the reply told.
    ///   - sentAt: When the call was sent that it replies to.
    package func note(_ serverTime: Timestamp, sentAt: ContinuousClock.Instant) {
        let received = self.milliseconds(at: .now)
        // `received` is rounded down. One millisecond less keeps the estimate from being ahead of the server.
        let lowest = serverTime.milliseconds - received - 1
        let highest = serverTime.milliseconds - self.milliseconds(at: sentAt)
        self.estimate.withLock { estimate in
            if let current = estimate, lowest < current.offset, current.offset <= highest,
                received - current.takenAt < Self.lifetime
            {
                return
            }
            estimate = Estimate(offset: lowest, takenAt: received)
        }
    }

    /// The server's time at a moment here, or somewhat earlier; `nil` if the server has not told it.
    ///
    /// - Parameter instant: A moment here.
    /// - Returns: The server's time.
    package func time(at instant: ContinuousClock.Instant) -> Timestamp? {
        self.estimate.withLock { $0?.offset }.map { Timestamp(milliseconds: $0 + self.milliseconds(at: instant)) }
    }
}
