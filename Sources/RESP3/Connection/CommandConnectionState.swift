import NIOCore

/// What a ``CommandConnection`` decides, without doing any of it.
///
/// Every event returns a step for the connection to carry out.
struct CommandConnectionState<Waiter>: ~Copyable {
    private var cycle = ConnectionCycle()
    private var queue: CommandQueue<Waiter>
    private let maximumConnectFailures: Int
    private let silenceTimeout: TimeAmount
    /// When bytes came last on the current connection; `nil` if none have.
    private var lastBytes: NIODeadline?
    /// Why commands are not even queued during a pause.
    private var down: RedisError?
    /// Whether the connection is only waited for to be empty, so that another can take its place.
    private var isRetiring = false
    private var isClosing = false

    /// - Parameters:
    ///   - limits: How much may be queued.
    ///   - sharesWaits: Whether all calls end with a `WAIT`: see ``CommandQueue``.
    ///   - maximumConnectFailures: See ``RedisConfiguration``.
    ///   - silenceTimeout: See ``RedisConfiguration``.
    init(
        limits: CommandQueue<Waiter>.Limits,
        sharesWaits: Bool = false,
        maximumConnectFailures: Int,
        silenceTimeout: TimeAmount
    ) {
        self.silenceTimeout = silenceTimeout
        self.queue = CommandQueue(limits: limits, sharesWaits: sharesWaits)
        self.maximumConnectFailures = maximumConnectFailures
    }

    var isClosed: Bool { self.cycle.phase == .closed }
    var isConnecting: Bool { self.cycle.phase == .connecting }
    var failures: Int { self.cycle.failures }
    var nextDeadline: NIODeadline? { self.queue.nextDeadline }

    func isCurrent(_ attempt: Int) -> Bool { self.cycle.isCurrent(attempt) }

    /// - Returns: The name under which the entry can be cancelled, if it was queued.
    mutating func enqueue(
        _ entry: CommandQueue<Waiter>.Entry, now: NIODeadline
    ) -> (id: Int?, step: CommandConnectionStep<Waiter>) {
        if self.isClosing { return (nil, .failing(entry.waiter, .closed)) }
        if entry.deadline <= now { return (nil, .failing(entry.waiter, .tooLate)) }
        if self.cycle.phase == .pausing, let down { return (nil, .failing(entry.waiter, down)) }
        guard let id = self.queue.append(entry) else { return (nil, .failing(entry.waiter, .queueFull)) }
        return (id, self.proceed())
    }

    mutating func cancel(_ id: Int) -> CommandConnectionStep<Waiter> {
        var step = CommandConnectionStep<Waiter>.failing(self.queue.cancel(id), .cancelled)
        self.endIfDrained(&step)
        return step
    }

    mutating func opened(_ attempt: Int) -> CommandConnectionStep<Waiter> {
        guard self.cycle.opened(attempt) else { return CommandConnectionStep() }
        self.lastBytes = nil
        var step = self.proceed()
        self.endIfDrained(&step)
        return step
    }

    mutating func ended(_ end: ConnectionEnd, _ attempt: Int) -> CommandConnectionStep<Waiter> {
        var step = CommandConnectionStep<Waiter>()
        if self.cycle.isCurrent(attempt) { self.finish(end, &step) }
        return step
    }

    mutating func pauseEnded() -> CommandConnectionStep<Waiter> {
        self.cycle.pauseEnded()
        return self.queue.hasUnsent ? self.proceed() : CommandConnectionStep()
    }

    /// The commands to write now.
    mutating func send(upTo size: Int) -> [RedisCommand] {
        guard self.cycle.phase == .open, !self.isRetiring else { return [] }
        return self.queue.send(upTo: size)
    }

    mutating func received(_ reply: RESPValue) -> CommandConnectionStep<Waiter> {
        var step = CommandConnectionStep<Waiter>()
        if case .push = reply {
            self.drop(.violation("The server pushed a message without a subscription."), &step)
            return step
        }
        switch self.queue.accept(reply) {
        case .unexpected:
            self.drop(.violation("The server sent a reply without a command."), &step)
            return step
        case .partial: break
        case .complete(let entries):
            for entry in entries { step.tell(entry.waiter, .success(entry.replies)) }
            // They may have been waiting for this one.
            if self.queue.hasUnsent { step.next = .flush }
        }
        self.cycle.replied()
        self.down = nil
        // The server has become a replica: resolving the address anew may find its successor.
        if reply.serverError?.code == "READONLY" { self.isRetiring = true }
        self.endIfDrained(&step)
        return step
    }

    /// Notes a sign of life: on a connection where bytes arrive, a late reply is behind a large one.
    mutating func receivedBytes(at now: NIODeadline) {
        self.lastBytes = now
    }

    /// Lets those leave whose time is over, and ends the connection if it is silent beyond that.
    mutating func expire(_ now: NIODeadline) -> CommandConnectionStep<Waiter> {
        var step = CommandConnectionStep<Waiter>()
        if self.queue.isOverdue(now) {
            if let lastBytes, now < lastBytes + self.silenceTimeout {
                self.queue.postponeLastResort(until: lastBytes + self.silenceTimeout)
            } else {
                self.drop(.lost("The server did not reply in time."), &step)
            }
        }
        let (sent, unsent) = self.queue.expire(now)
        for waiter in sent { step.tell(waiter, .failure(.replyLost("The server did not reply in time."))) }
        for waiter in unsent { step.tell(waiter, .failure(.tooLate)) }
        self.endIfDrained(&step)
        return step
    }

    /// Has later commands use a new connection; those under way still get their replies from this one.
    mutating func retire() -> CommandConnectionStep<Waiter> {
        var step = CommandConnectionStep<Waiter>()
        self.isRetiring = self.cycle.phase == .open
        self.endIfDrained(&step)
        return step
    }

    /// Takes no more commands, and ends once those it has taken have their replies.
    mutating func close() -> CommandConnectionStep<Waiter> {
        self.isClosing = true
        var step = CommandConnectionStep<Waiter>()
        guard self.cycle.phase == .open else {
            self.finish(.lost("The client was closed."), &step)
            return step
        }
        self.endIfDrained(&step)
        return step
    }

    /// The next step for the commands that wait to be sent.
    private mutating func proceed() -> CommandConnectionStep<Waiter> {
        switch self.cycle.phase {
        case .idle: CommandConnectionStep(next: .connect(self.cycle.begin()))
        case .open: CommandConnectionStep(next: .flush)
        case .connecting, .pausing, .closed: CommandConnectionStep()
        }
    }

    private mutating func endIfDrained(_ step: inout CommandConnectionStep<Waiter>) {
        guard self.cycle.phase == .open, self.isRetiring || self.isClosing, !self.queue.hasSent else { return }
        guard self.isRetiring || !self.queue.hasUnsent else { return }
        self.drop(.lost("The connection was retired."), &step)
    }

    /// Ends the connection from this side.
    private mutating func drop(_ end: ConnectionEnd, _ step: inout CommandConnectionStep<Waiter>) {
        step.closesConnection = true
        self.finish(end, &step)
    }

    private mutating func finish(_ end: ConnectionEnd, _ step: inout CommandConnectionStep<Waiter>) {
        for waiter in self.queue.failSent() { step.tell(waiter, .failure(end.errorAfterSending)) }
        self.isRetiring = false
        self.cycle.end()
        if self.isClosing {
            self.cycle.close()
            self.failUnsent(.closed, &step)
        } else if self.cycle.phase == .pausing {
            if end.isLasting || self.cycle.failures >= self.maximumConnectFailures {
                self.down = end.errorBeforeSending
            }
            if let down { self.failUnsent(down, &step) }
            step.next = .pause(failures: self.cycle.failures)
        } else if self.queue.hasUnsent {
            step.next = .connect(self.cycle.begin())
        }
    }

    private mutating func failUnsent(_ error: RedisError, _ step: inout CommandConnectionStep<Waiter>) {
        for waiter in self.queue.failUnsent() { step.tell(waiter, .failure(error)) }
    }
}
