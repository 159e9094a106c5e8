/// A moment on a store's own clock, in milliseconds since an origin that the store chooses.
///
/// Only differences between two timestamps of one store mean anything. Arithmetic saturates: a clock that jumps, or an
/// absurd duration, yields a far moment and never a trap.
public struct Timestamp: Hashable, Sendable, Comparable {
    /// Milliseconds since the origin of the store's clock.
    public let milliseconds: Int64

    /// Creates a timestamp.
    ///
    /// - Parameter milliseconds: Milliseconds since the origin of the store's clock.
    public init(milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    /// A moment that no clock reaches: what expires then is kept for good.
    package static let distantFuture = Timestamp(milliseconds: .max)

    /// Orders timestamps by time.
    public static func < (lhs: Timestamp, rhs: Timestamp) -> Bool {
        lhs.milliseconds < rhs.milliseconds
    }

    /// The moment `duration` after this one.
    ///
    /// - Parameter duration: Any duration; a part of a millisecond counts as a whole one.
    /// - Returns: The later moment, or the end of time if it lies beyond.
    package func advanced(by duration: Duration) -> Timestamp {
        let (sum, overflow) = self.milliseconds.addingReportingOverflow(duration.wholeMilliseconds)
        guard overflow else { return Timestamp(milliseconds: sum) }
        return Timestamp(milliseconds: duration < .zero ? .min : .max)
    }

    /// How long it is from this moment until `other`; negative if `other` is earlier.
    ///
    /// - Parameter other: A moment on the same clock.
    /// - Returns: The time between the two.
    package func duration(to other: Timestamp) -> Duration {
        let (difference, overflow) = other.milliseconds.subtractingReportingOverflow(self.milliseconds)
        guard overflow else { return .milliseconds(difference) }
        return .milliseconds(other < self ? Int64.min : .max)
    }
}

extension Duration {
    /// The duration in milliseconds, rounded up, and limited to what 64 bits hold.
    package var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = self.components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let attosecondsPerMillisecond: Int64 = 1_000_000_000_000_000
        let (quotient, remainder) = attoseconds.quotientAndRemainder(dividingBy: attosecondsPerMillisecond)
        let (sum, sumOverflow) = product.addingReportingOverflow(quotient + (remainder > 0 ? 1 : 0))
        guard !sumOverflow else { return .max }
        return sum
    }
}
