/// The life of a connection that is made on first use, and again after a loss.
///
/// Attempts are numbered, so that a late event of an old connection is not taken for one of the current.
struct ConnectionCycle {
    enum Phase: Hashable {
        case idle
        case connecting
        case open
        /// After a failure; the next attempt is not made before ``ConnectionCycle/pauseEnded()``.
        case pausing
        case closed
    }

    private(set) var phase = Phase.idle
    private(set) var attempt = 0
    /// In a row.
    private(set) var failures = 0
    private var hasReplied = false

    /// Begins an attempt.
    ///
    /// - Returns: Its number.
    mutating func begin() -> Int {
        self.phase = .connecting
        self.attempt += 1
        self.hasReplied = false
        return self.attempt
    }

    /// - Returns: Whether it is the current attempt that succeeded.
    mutating func opened(_ attempt: Int) -> Bool {
        guard self.phase == .connecting, attempt == self.attempt else { return false }
        self.phase = .open
        return true
    }

    /// Notes that the connection is good for something.
    mutating func replied() {
        self.hasReplied = true
        self.failures = 0
    }

    /// Whether an event of this attempt still matters.
    func isCurrent(_ attempt: Int) -> Bool {
        attempt == self.attempt && (self.phase == .connecting || self.phase == .open)
    }

    /// Ends the connection or the attempt.
    ///
    /// A connection that never replied counts as a failed attempt: a server that accepts and drops would otherwise be
    /// asked without a pause.
    mutating func end() {
        self.phase = self.hasReplied ? .idle : .pausing
        if !self.hasReplied { self.failures += 1 }
    }

    mutating func pauseEnded() {
        if self.phase == .pausing { self.phase = .idle }
    }

    mutating func close() {
        self.phase = .closed
    }
}
