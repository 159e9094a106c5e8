import NIOCore

/// For how long a connection waits for the upstream: a state machine without a clock.
///
/// It waits while the upstream takes nothing more of the request, and, once it has all of it, while it sends nothing that
/// the proxy wants to read. It does not wait while a slow client is the one who holds things up.
struct UpstreamPatience {
    private let timeout: TimeAmount
    private var isActive = false
    private var isRequestSent = false
    private var isReading = false
    private var isWritable = true
    private var lastProgress = NIODeadline.uptimeNanoseconds(0)

    init(timeout: TimeAmount) {
        self.timeout = timeout
    }

    /// When the upstream has kept us waiting for too long; `nil` while it does not.
    var deadline: NIODeadline? {
        guard self.isActive, !self.isWritable || (self.isRequestSent && self.isReading) else { return nil }
        return self.lastProgress + self.timeout
    }

    mutating func requestBegan(now: NIODeadline, isWritable: Bool) {
        self.isActive = true
        self.isRequestSent = false
        self.isWritable = isWritable
        self.lastProgress = now
    }

    mutating func requestEnded(now: NIODeadline) {
        self.isRequestSent = true
        self.lastProgress = now
    }

    mutating func answerCame(now: NIODeadline) {
        self.lastProgress = now
    }

    mutating func answerEnded() {
        self.isActive = false
    }

    mutating func readingBegan(now: NIODeadline) {
        guard !self.isReading else { return }
        self.isReading = true
        self.lastProgress = max(self.lastProgress, now)
    }

    mutating func readingEnded() {
        self.isReading = false
    }

    mutating func writabilityChanged(to isWritable: Bool, now: NIODeadline) {
        self.isWritable = isWritable
        self.lastProgress = now
    }
}
