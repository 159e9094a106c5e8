import NIOCore

/// What a ``SubscriptionConnection`` decides, without doing any of it.
struct SubscriptionState: ~Copyable {
    /// A request to the server, which replies in order.
    private enum Request: Hashable {
        case subscribe(SubscriptionChannel)
        case unsubscribe(SubscriptionChannel)
        case ping
    }

    private let limit: Int
    private var cycle = ConnectionCycle()
    private var wanted: Set<SubscriptionChannel> = []
    private var unsent = CircularBuffer<Request>()
    private var inFlight = CircularBuffer<Request>()
    private var hasHeard = false

    /// - Parameter limit: How many requests may wait for their reply.
    init(limit: Int) {
        self.limit = limit
    }

    var isClosed: Bool { self.cycle.phase == .closed }
    var isConnecting: Bool { self.cycle.phase == .connecting }
    var failures: Int { self.cycle.failures }

    func isCurrent(_ attempt: Int) -> Bool { self.cycle.isCurrent(attempt) }

    mutating func want(_ channel: SubscriptionChannel) -> SubscriptionStep {
        if self.isClosed { return SubscriptionStep(events: [.unreachable]) }
        guard self.wanted.insert(channel).inserted else { return SubscriptionStep() }
        return self.request(.subscribe(channel))
    }

    mutating func unwant(_ channel: SubscriptionChannel) -> SubscriptionStep {
        guard self.wanted.remove(channel) != nil else { return SubscriptionStep() }
        return self.request(.unsubscribe(channel))
    }

    mutating func opened(_ attempt: Int) -> SubscriptionStep {
        guard self.cycle.opened(attempt) else { return SubscriptionStep() }
        self.hasHeard = true
        self.unsent = CircularBuffer(self.wanted.map { .subscribe($0) })
        return SubscriptionStep(next: .flush)
    }

    mutating func ended(_ attempt: Int) -> SubscriptionStep {
        var step = SubscriptionStep()
        if self.cycle.isCurrent(attempt) { self.finish(&step) }
        return step
    }

    mutating func pauseEnded() -> SubscriptionStep {
        self.cycle.pauseEnded()
        return self.wanted.isEmpty ? SubscriptionStep() : self.proceed()
    }

    /// The commands to write now.
    mutating func send() -> [RedisCommand] {
        guard self.cycle.phase == .open else { return [] }
        defer { self.unsent.removeAll() }
        self.inFlight += self.unsent
        return self.unsent.map { request in
            switch request {
            case .subscribe(let channel): channel.subscribe
            case .unsubscribe(let channel): channel.unsubscribe
            case .ping: ["PING"]
            }
        }
    }

    mutating func received(_ value: RESPValue) -> SubscriptionStep {
        var step = SubscriptionStep()
        guard let message = SubscriptionMessage(value), self.accept(message, &step) else {
            self.drop(&step)
            return step
        }
        self.hasHeard = true
        self.cycle.replied()
        return step
    }

    /// Time has passed: asks whether the server is there, unless a reply is due already.
    mutating func tick() -> SubscriptionStep {
        guard self.cycle.phase == .open else { return SubscriptionStep() }
        defer { self.hasHeard = false }
        if self.inFlight.isEmpty { return self.request(.ping) }
        var step = SubscriptionStep()
        if !self.hasHeard { self.drop(&step) }
        return step
    }

    /// Has the channels subscribed to on a new connection.
    mutating func retire() -> SubscriptionStep {
        var step = SubscriptionStep()
        if self.cycle.phase == .open { self.drop(&step) }
        return step
    }

    mutating func close() -> SubscriptionStep {
        var step = SubscriptionStep()
        step.closesConnection = true
        if !self.wanted.isEmpty { step.events = [.interrupted] }
        self.cycle.close()
        return step
    }

    private mutating func request(_ request: Request) -> SubscriptionStep {
        if self.cycle.phase == .open { self.unsent.append(request) }
        guard self.unsent.count + self.inFlight.count <= self.limit else {
            // The server has not replied for long. A new connection subscribes only to what is still wanted.
            var step = SubscriptionStep()
            self.drop(&step)
            return step
        }
        if case .subscribe = request { return self.proceed() }
        return SubscriptionStep(next: self.cycle.phase == .open ? .flush : .nothing)
    }

    private mutating func proceed() -> SubscriptionStep {
        switch self.cycle.phase {
        case .idle: SubscriptionStep(next: .connect(self.cycle.begin()))
        case .open: SubscriptionStep(next: .flush)
        case .connecting, .pausing, .closed: SubscriptionStep()
        }
    }

    /// - Returns: Whether the message was to be expected.
    private mutating func accept(_ message: SubscriptionMessage, _ step: inout SubscriptionStep) -> Bool {
        switch message {
        case .published(let channel):
            step.events = [.published(channel)]
            return true
        case .subscribed(let channel):
            step.events = [.subscribed(channel)]
            return self.inFlight.popFirst() == .subscribe(channel)
        case .unsubscribed(let channel):
            self.left(channel, &step)
            return true
        case .pong:
            return self.inFlight.popFirst() == .ping
        case .refused(let error):
            return self.refuse(self.inFlight.popFirst(), error, &step)
        }
    }

    private mutating func refuse(_ request: Request?, _ error: ServerError, _ step: inout SubscriptionStep) -> Bool {
        // An error in reply to a ping is a sign of life too.
        guard case .subscribe(let channel) = request else { return request != nil }
        self.wanted.remove(channel)
        step.events = [.refused(channel, error)]
        return true
    }

    /// A subscription has ended: as was asked, or by the server itself, since the channel's slot has moved away.
    private mutating func left(_ channel: SubscriptionChannel, _ step: inout SubscriptionStep) {
        if self.inFlight.first == .unsubscribe(channel) {
            self.inFlight.removeFirst()
        } else if self.wanted.remove(channel) != nil {
            step.events = [.dislodged(channel)]
        }
    }

    private mutating func drop(_ step: inout SubscriptionStep) {
        step.closesConnection = true
        self.finish(&step)
    }

    private mutating func finish(_ step: inout SubscriptionStep) {
        self.unsent.removeAll()
        self.inFlight.removeAll()
        step.events = self.cycle.phase == .open ? [.interrupted] : [.unreachable]
        self.cycle.end()
        if self.cycle.phase == .pausing {
            step.next = .pause(failures: self.cycle.failures)
        } else if !self.wanted.isEmpty {
            step.next = .connect(self.cycle.begin())
        }
    }
}
