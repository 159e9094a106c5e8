import NIOCore

/// For how long a connection waits for its client: a state machine without a clock.
///
/// A client keeps us waiting while we read and no request comes; while we read and the body of a request comes more slowly
/// than permitted; and while it takes nothing of an answer. An answer ends when the client has taken all of it.
struct ClientPatience {
    private struct Body {
        /// How long we have waited for it, and how much has come.
        var waited = TimeAmount.zero
        var size = 0
        /// The client waits for leave to send it.
        var isHeldBack: Bool
    }

    private let idleTimeout: TimeAmount
    /// In bytes per second.
    private let minimumRate: Int
    private var idleSince: NIODeadline?
    private var body: Body?
    private var readingSince: NIODeadline?
    private var unanswered = 0
    private var isWritable = true
    /// How many pieces of answers have been written and not been taken.
    private var untaken = 0
    /// When the client has last taken something, or did not yet have to.
    private var takingSince = NIODeadline.uptimeNanoseconds(0)

    init(idleTimeout: TimeAmount, minimumRate: Int) {
        self.idleTimeout = idleTimeout
        self.minimumRate = minimumRate
    }

    /// When the client has kept us waiting for too long; `nil` while it does not.
    var deadline: NIODeadline? {
        [self.idleSince, self.hasToTake ? self.takingSince : nil].map { $0.map { $0 + self.idleTimeout } }
            .reduce(self.bodyDeadline) { earliest, next in
                guard let earliest, let next else { return earliest ?? next }
                return min(earliest, next)
            }
    }

    private var hasToTake: Bool { !self.isWritable || self.untaken > 0 }

    private var bodyDeadline: NIODeadline? {
        guard let body, !body.isHeldBack, let readingSince else { return nil }
        let earned = Int64(clamping: Int128(body.size) * 1_000_000_000 / Int128(self.minimumRate))
        // A deadline too far away to be told is the distant future.
        return readingSince + self.idleTimeout + .nanoseconds(earned) - body.waited
    }

    mutating func connected(now: NIODeadline) {
        self.idleSince = now
    }

    mutating func requestBegan(isBodyHeldBack: Bool) {
        self.unanswered += 1
        self.idleSince = nil
        self.body = Body(isHeldBack: isBodyHeldBack)
    }

    mutating func bodyCame(size: Int, now: NIODeadline) {
        self.bodyWasCalledFor(now: now)
        guard let sum = self.body?.size.addingReportingOverflow(size) else { return }
        self.body?.size = sum.overflow ? .max : sum.partialValue
    }

    mutating func requestEnded(now: NIODeadline) {
        self.body = nil
        self.beginIdling(now: now)
    }

    /// The client has leave to send the body, or has not waited for it.
    mutating func bodyWasCalledFor(now: NIODeadline) {
        guard self.body?.isHeldBack ?? false else { return }
        self.body?.isHeldBack = false
        self.readingSince = self.readingSince.map { _ in now }
    }

    mutating func answerEnded(now: NIODeadline) {
        self.unanswered -= 1
        self.bodyWasCalledFor(now: now)
        self.beginIdling(now: now)
    }

    private mutating func beginIdling(now: NIODeadline) {
        if self.unanswered == 0 && self.body == nil { self.idleSince = now }
    }

    mutating func readingBegan(now: NIODeadline) {
        self.readingSince = self.readingSince ?? now
    }

    mutating func readingEnded(now: NIODeadline) {
        if let readingSince, var body, !body.isHeldBack {
            let waited = body.waited.nanoseconds.addingReportingOverflow((now - readingSince).nanoseconds)
            body.waited = waited.overflow ? .nanoseconds(.max) : .nanoseconds(waited.partialValue)
            self.body = body
        }
        self.readingSince = nil
    }

    mutating func writabilityChanged(to isWritable: Bool, now: NIODeadline) {
        if isWritable || !self.hasToTake { self.takingSince = now }
        self.isWritable = isWritable
    }

    /// A piece of an answer is on its way.
    mutating func pieceWritten(now: NIODeadline) {
        if !self.hasToTake { self.takingSince = now }
        self.untaken += 1
    }

    mutating func pieceTaken(now: NIODeadline) {
        self.untaken -= 1
        self.takingSince = now
    }
}
