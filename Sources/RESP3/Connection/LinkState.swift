import NIOCore

/// What a ``Link`` decides, without doing any of it.
///
/// Every event returns a step for the link to carry out.
struct LinkState<Waiter>: ~Copyable {
    private var cycle = ConnectionCycle()
    private var queue: CommandQueue<Waiter>
    private let patience: Int
    /// Why commands are not even queued during a pause.
    private var down: RedisError?
    /// Whether the connection is only waited for to be empty, so that another can take its place.
    private var isRetiring = false
    private var isClosing = false

    init(limits: CommandQueue<Waiter>.Limits, sharesWaits: Bool = false, patience: Int) {
        self.queue = CommandQueue(limits: limits, sharesWaits: sharesWaits)
        self.patience = patience
    }

    var isClosed: Bool { self.cycle.phase == .closed }
    var isConnecting: Bool { self.cycle.phase == .connecting }
    var failures: Int { self.cycle.failures }
    var nextDeadline: NIODeadline? { self.queue.nextDeadline }

    func isCurrent(_ attempt: Int) -> Bool { self.cycle.isCurrent(attempt) }

    /// - Returns: The name under which the entry can be cancelled, if it was queued.
    mutating func enqueue(
        _ entry: CommandQueue<Waiter>.Entry, now: NIODeadline
    ) -> (id: Int?, step: LinkStep<Waiter>) {
        if self.isClosing { return (nil, .failing(entry.waiter, .closed)) }
        if entry.deadline <= now { return (nil, .failing(entry.waiter, .tooLate)) }
        if self.cycle.phase == .pausing, let down { return (nil, .failing(entry.waiter, down)) }
        guard let id = self.queue.append(entry) else { return (nil, .failing(entry.waiter, .queueFull)) }
        return (id, self.proceed())
    }

    mutating func cancel(_ id: Int) -> LinkStep<Waiter> {
        var step = LinkStep<Waiter>.failing(self.queue.cancel(id), .cancelled)
        self.endIfDrained(&step)
        return step
    }

    mutating func opened(_ attempt: Int) -> LinkStep<Waiter> {
        guard self.cycle.opened(attempt) else { return LinkStep() }
        var step = self.proceed()
        self.endIfDrained(&step)
        return step
    }

    mutating func ended(_ end: ConnectionEnd, _ attempt: Int) -> LinkStep<Waiter> {
        var step = LinkStep<Waiter>()
        if self.cycle.isCurrent(attempt) { self.finish(end, &step) }
        return step
    }

    mutating func pauseEnded() -> LinkStep<Waiter> {
        self.cycle.pauseEnded()
        return self.queue.hasUnsent ? self.proceed() : LinkStep()
    }

    /// The commands to write now.
    mutating func send(upTo size: Int) -> [RedisCommand] {
        guard self.cycle.phase == .open, !self.isRetiring else { return [] }
        return self.queue.send(upTo: size)
    }

    mutating func received(_ reply: RESPValue) -> LinkStep<Waiter> {
        var step = LinkStep<Waiter>()
        if case .push = reply {
            self.abandon(.violation("The server pushed what nobody subscribed to."), &step)
            return step
        }
        switch self.queue.accept(reply) {
        case .unexpected:
            self.abandon(.violation("The server sent a reply that nobody asked for."), &step)
            return step
        case .partial: break
        case .complete(let entries):
            for entry in entries { step.tell(entry.waiter, .success(entry.replies)) }
            // They may have been waiting for this one.
            if self.queue.hasUnsent { step.next = .flush }
        }
        self.cycle.answered()
        self.down = nil
        // The server has become a replica: whoever resolves the address anew may find its successor.
        if reply.serverError?.code == "READONLY" { self.isRetiring = true }
        self.endIfDrained(&step)
        return step
    }

    mutating func expire(_ now: NIODeadline) -> LinkStep<Waiter> {
        var step = LinkStep<Waiter>()
        if self.queue.isOverdue(now) {
            self.abandon(.lost("The server did not answer in time."), &step)
        }
        let (sent, unsent) = self.queue.expire(now)
        for waiter in sent { step.tell(waiter, .failure(.replyLost("The server did not answer in time."))) }
        for waiter in unsent { step.tell(waiter, .failure(.tooLate)) }
        self.endIfDrained(&step)
        return step
    }

    /// Has later commands use a new connection; those under way still get their replies from this one.
    mutating func retire() -> LinkStep<Waiter> {
        var step = LinkStep<Waiter>()
        self.isRetiring = self.cycle.phase == .open
        self.endIfDrained(&step)
        return step
    }

    /// Takes no more commands, and ends once those it has taken are answered.
    mutating func close() -> LinkStep<Waiter> {
        self.isClosing = true
        var step = LinkStep<Waiter>()
        guard self.cycle.phase == .open else {
            self.finish(.lost("The client was closed."), &step)
            return step
        }
        self.endIfDrained(&step)
        return step
    }

    /// What is to be done for the commands that wait to be sent.
    private mutating func proceed() -> LinkStep<Waiter> {
        switch self.cycle.phase {
        case .idle: LinkStep(next: .dial(self.cycle.begin()))
        case .open: LinkStep(next: .flush)
        case .connecting, .pausing, .closed: LinkStep()
        }
    }

    private mutating func endIfDrained(_ step: inout LinkStep<Waiter>) {
        guard self.cycle.phase == .open, self.isRetiring || self.isClosing, !self.queue.hasSent else { return }
        guard self.isRetiring || !self.queue.hasUnsent else { return }
        self.abandon(.lost("The connection was given up."), &step)
    }

    /// Ends the connection from this side.
    private mutating func abandon(_ end: ConnectionEnd, _ step: inout LinkStep<Waiter>) {
        step.closesConnection = true
        self.finish(end, &step)
    }

    private mutating func finish(_ end: ConnectionEnd, _ step: inout LinkStep<Waiter>) {
        for waiter in self.queue.failSent() { step.tell(waiter, .failure(end.errorAfterSending)) }
        self.isRetiring = false
        self.cycle.end()
        if self.isClosing {
            self.cycle.close()
            self.failUnsent(.closed, &step)
        } else if self.cycle.phase == .pausing {
            if end.isLasting || self.cycle.failures >= self.patience { self.down = end.errorBeforeSending }
            if let down { self.failUnsent(down, &step) }
            step.next = .pause(failures: self.cycle.failures)
        } else if self.queue.hasUnsent {
            step.next = .dial(self.cycle.begin())
        }
    }

    private mutating func failUnsent(_ error: RedisError, _ step: inout LinkStep<Waiter>) {
        for waiter in self.queue.failUnsent() { step.tell(waiter, .failure(error)) }
    }
}
