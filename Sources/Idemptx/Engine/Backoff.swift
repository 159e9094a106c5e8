/// Growing pauses between tries, each shortened at random so that callers that wait together do not return together.
struct Backoff: Sendable {
    private var ceiling = Duration.milliseconds(50)
    private let maximum = Duration.seconds(1)

    /// Whether no pause has been made.
    private(set) var isFresh = true

    /// The next pause: between half of the ceiling and all of it.
    ///
    /// The ceiling doubles from 50 ms to 1 s.
    mutating func next() -> Duration {
        self.isFresh = false
        defer { self.ceiling = min(self.ceiling * 2, self.maximum) }
        return self.ceiling * Double.random(in: 0.5...1)
    }
}
