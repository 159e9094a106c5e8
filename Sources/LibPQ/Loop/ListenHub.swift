import Logging

/// Somebody who listens to a channel.
struct Listener: Sendable {
    /// What tells it from the others.
    final class ID: Sendable {}

    let id: ID
    let channel: String
    let continuation: AsyncStream<PostgresEvent>.Continuation
    /// Whether it is owed a ``PostgresEvent/listening``, since its buffer was full.
    var hasGap = false

    init(id: ID, channel: String, continuation: AsyncStream<PostgresEvent>.Continuation) {
        self.id = id
        self.channel = channel
        self.continuation = continuation
    }

    mutating func yield(_ event: PostgresEvent) {
        // After a gap, the state has to be read in any case, and only then the rest is of use.
        if self.hasGap { self.closeGap() }
        guard !self.hasGap else { return }
        if case .dropped = self.continuation.yield(event) { self.hasGap = true }
    }

    /// Delivers what is owed, if there is room.
    mutating func closeGap() {
        guard self.hasGap else { return }
        if case .enqueued = self.continuation.yield(.listening) { self.hasGap = false }
    }
}

/// The connection that listens, and those who listen.
final class ListenHub {
    /// How often to look whether a reader has made room.
    private static let gapInterval = Duration.milliseconds(50)

    private let configuration: PostgresConfiguration
    private let connect: () -> Void
    private var listeners: [Listener] = []
    /// The channels that the server has confirmed.
    private var confirmed: Set<String> = []
    private(set) var session: Session?
    private var cycle: ConnectCycle

    /// - Parameters:
    ///   - configuration: The pauses, and the logger.
    ///   - connect: Begins to make a connection.
    init(_ configuration: PostgresConfiguration, connect: @escaping () -> Void) {
        self.configuration = configuration
        self.connect = connect
        self.cycle = ConnectCycle(configuration.backoff, maximumFailures: .max)
    }

    func add(_ listener: Listener, now: ContinuousClock.Instant) {
        let isFirst = !self.listeners.contains { $0.channel == listener.channel }
        self.listeners.append(listener)
        if self.confirmed.contains(listener.channel) {
            self.yield(.listening) { $0.id === listener.id }
        } else if isFirst {
            self.subscribe(listener.channel, now)
        }
    }

    func remove(_ id: Listener.ID, now: ContinuousClock.Instant) {
        guard let index = self.listeners.firstIndex(where: { $0.id === id }) else { return }
        let channel = self.listeners.remove(at: index).channel
        if self.listeners.isEmpty { return self.disconnect() }
        guard !self.listeners.contains(where: { $0.channel == channel }), let session = self.session else { return }
        self.confirmed.remove(channel)
        session.send(self.entry("UNLISTEN \(Self.quoted(channel))", now) { _ in }, now: now)
    }

    func connected(_ result: Result<PQConnection, PostgresError>, now: ContinuousClock.Instant) {
        switch result {
        case .failure(let error):
            self.cycle.failed(error, now: now)
            self.configuration.logger.debug(
                "Could not connect for listening",
                metadata: ["postgres.reason": "\(error)", "postgres.failures": "\(self.cycle.failures)"])
        case .success(let connection):
            self.cycle.attemptEnded()
            guard !self.listeners.isEmpty else { return }
            self.session = Session(connection, now: now)
            for channel in Set(self.listeners.map(\.channel)) { self.subscribe(channel, now) }
        }
    }

    /// Something has happened to the socket.
    func ready(now: ContinuousClock.Instant) {
        guard let session = self.session else { return }
        for entry in session.receive(now: now) { entry.concludeWithReplies() }
        while let notification = session.connection.nextNotification() {
            self.yield(.notification(payload: notification.payload)) { $0.channel == notification.channel }
        }
    }

    /// Connects if need be, asks a silent server whether it is there, and drops one that is not.
    func work(now: ContinuousClock.Instant) {
        for index in self.listeners.indices { self.listeners[index].closeGap() }
        self.flush()
        if let session = self.session {
            if session.entries.contains(where: { $0.deadline <= now }) { session.lose("The server is silent.") }
            if session.entries.isEmpty, now - session.lastReceived >= self.configuration.listenPingInterval {
                session.send(self.entry("SELECT 1", now) { _ in }, now: now)
            }
            self.flush()
            if let sentence = session.end { self.lost(sentence, now) }
        }
        if self.session == nil, !self.listeners.isEmpty, self.cycle.begin(now: now) { self.connect() }
    }

    /// When to call ``work(now:)`` again at the latest.
    var nextDeadline: ContinuousClock.Instant? {
        var deadlines: [ContinuousClock.Instant] = []
        if let session = self.session {
            deadlines.append(
                session.entries.map(\.deadline).min() ?? session.lastReceived + self.configuration.listenPingInterval)
        } else if !self.listeners.isEmpty, !self.cycle.isConnecting, let next = self.cycle.nextAttempt {
            deadlines.append(next)
        }
        if self.listeners.contains(where: \.hasGap) { deadlines.append(.now + Self.gapInterval) }
        return deadlines.min()
    }

    /// Ends all streams.
    func close() {
        for listener in self.listeners { listener.continuation.finish() }
        self.listeners = []
        self.disconnect()
    }

    private func flush() {
        self.session?.flush()
    }

    private func subscribe(_ channel: String, _ now: ContinuousClock.Instant) {
        guard let session = self.session else { return }
        let entry = self.entry("LISTEN \(Self.quoted(channel))", now) { [unowned self] outcome in
            switch outcome {
            case .success: self.confirm(channel)
            case .failure(let error): self.session?.lose("\(error)")
            }
        }
        session.send(entry, now: now)
    }

    private func confirm(_ channel: String) {
        self.cycle.succeeded()
        guard self.listeners.contains(where: { $0.channel == channel }) else { return }
        self.confirmed.insert(channel)
        self.yield(.listening) { $0.channel == channel }
    }

    private func lost(_ sentence: String, _ now: ContinuousClock.Instant) {
        self.configuration.logger.info(
            "The connection that listens has ended", metadata: ["postgres.reason": "\(sentence)"])
        let interrupted = self.confirmed
        self.disconnect()
        // A pause first: a server that refuses to listen would refuse again.
        self.cycle.failed(.unavailable(sentence), now: now)
        self.yield(.interrupted) { interrupted.contains($0.channel) }
    }

    private func disconnect() {
        self.session = nil
        self.confirmed = []
    }

    private func yield(_ event: PostgresEvent, _ condition: (Listener) -> Bool) {
        for index in self.listeners.indices where condition(self.listeners[index]) {
            self.listeners[index].yield(event)
        }
    }

    private func entry(
        _ sql: String, _ now: ContinuousClock.Instant, _ completion: @escaping (Entry.Outcome) -> Void
    ) -> Entry {
        let deadline = now + self.configuration.listenPingInterval
        return Entry([EncodedStatement(own: sql)], role: .alone, deadline: deadline, completion: completion)
    }

    private static func quoted(_ name: String) -> String {
        "\"\(name.unicodeScalars.map { $0 == "\"" ? "\"\"" : "\($0)" }.joined())\""
    }
}
