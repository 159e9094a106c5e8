import NIOCore

/// The repetitions of a command that is known not to have been executed: a bounded number, within its deadline.
struct Repetition {
    private static let maximum = 16
    /// How often in a row to repeat without a pause: a redirect leads to the right server at once, or not at all.
    private static let maximumWithoutPause = 4

    private let backoff: Backoff
    private let deadline: NIODeadline
    private var count = 0
    private var pauses = 0

    init(_ backoff: Backoff, deadline: NIODeadline) {
        self.backoff = backoff
        self.deadline = deadline
    }

    /// Tells whether there may be another try, after a pause if need be, longer every time.
    mutating func next(pausing: Bool) async throws(RedisError) -> Bool {
        self.count += 1
        guard self.count <= Self.maximum else { return false }
        if pausing || self.count > Self.maximumWithoutPause {
            self.pauses += 1
            let pause = self.backoff.pause(after: self.pauses)
            guard .now() + TimeAmount(pause) < self.deadline else { return false }
            do { try await self.backoff.sleep(pause) } catch { throw .cancelled }
        }
        return .now() < self.deadline
    }
}
