import NIOCore

/// For how long a connection waits for its client: a state machine that is told the time now and then.
///
/// A client keeps us waiting while no request comes, while the body of one comes too slowly, and while it takes nothing of
/// a response. Time in which the upstream is the slow one does not count.
struct ClientTimeouts {
    enum Phase: Equatable {
        /// Waits for the head of a request.
        case idle
        /// Waits for the body of a request.
        case body
        /// Waits for nothing that the client does.
        case responding
        /// Waits for the client to close the connection, for so long.
        case closing(TimeAmount)
    }

    private let timeouts: Timeouts
    private let minimumRate: Int
    private var phase = Phase.idle
    /// How long the present phase has lasted, and how long nothing has come in it.
    private var phaseTime = TimeAmount.zero
    private var gapTime = TimeAmount.zero
    private var rate: MinimumRate
    /// What has come since the last look.
    private var received = 0
    private var lastLook: NIODeadline?
    // What the client takes.
    private var untaken = 0
    private var untakenTime = TimeAmount.zero

    init(_ timeouts: Timeouts, minimumRate: Int) {
        self.timeouts = timeouts
        self.minimumRate = minimumRate
        self.rate = MinimumRate(bytesPerSecond: minimumRate, window: timeouts.rateWindow)
    }

    /// From now on, something else is waited for.
    mutating func enter(_ phase: Phase) {
        self.phase = phase
        self.phaseTime = .zero
        self.gapTime = .zero
        self.received = 0
        self.lastLook = nil
        guard phase == .body else { return }
        self.rate = MinimumRate(bytesPerSecond: self.minimumRate, window: self.timeouts.rateWindow)
    }

    mutating func received(size: Int) {
        self.received += size
    }

    /// Looks at the time.
    ///
    /// - Parameters:
    ///   - now: The present.
    ///   - isReading: Whether what the client sends is being read.
    ///   - written: How many bytes were written since the last look.
    ///   - untaken: How many of all bytes written have not left this host.
    /// - Returns: Whether the client has kept us waiting for too long.
    mutating func isOver(now: NIODeadline, isReading: Bool, written: Int, untaken: Int) -> Bool {
        let elapsed = self.lastLook.map { now - $0 } ?? .zero
        self.lastLook = now
        if self.takesNothing(elapsed, written: written, untaken: untaken) { return true }
        // A response ends when the client has taken all of it.
        guard untaken == 0 || self.phase == .body else { return false }
        self.phaseTime = self.phaseTime + elapsed
        switch self.phase {
        case .idle: return self.phaseTime >= self.timeouts.idle
        case .closing(let limit): return self.phaseTime >= limit
        case .responding: return false
        case .body: break
        }
        guard isReading else {
            // Reading is paused while the upstream catches up.
            self.phaseTime = self.phaseTime - elapsed
            return false
        }
        self.gapTime = self.received > 0 ? .zero : self.gapTime + elapsed
        let isFast = self.rate.add(size: self.received, over: elapsed)
        self.received = 0
        return !isFast || self.gapTime >= self.timeouts.gap || self.phaseTime >= self.timeouts.maxBody
    }

    private mutating func takesNothing(_ elapsed: TimeAmount, written: Int, untaken: Int) -> Bool {
        let hasTaken = untaken < self.untaken + written
        self.untaken = untaken
        self.untakenTime = untaken == 0 || hasTaken ? .zero : self.untakenTime + elapsed
        return self.untakenTime >= self.timeouts.gap
    }
}
