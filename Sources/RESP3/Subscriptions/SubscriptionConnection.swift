import Logging
import NIOCore

/// Receives what happens to subscriptions.
protocol SubscriptionListener: AnyObject, Sendable {
    func handle(_ event: SubscriptionEvent, from connection: SubscriptionConnection)
}

/// The connection to one server for its subscriptions: made with the first one, and again after a loss.
final actor SubscriptionConnection: ReconnectingOwner {
    nonisolated let eventLoop: any EventLoop
    let factory: ConnectionFactory
    let backoff: Backoff
    var isFlushPlanned = false

    private let pingInterval: TimeAmount
    let logger: Logger
    private var state: SubscriptionState
    var channel: (any Channel)?
    var address: NodeAddress?
    var announced: NodeAddress?
    private var ticks: RepeatedTask?
    private weak var listener: (any SubscriptionListener)?

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe self.eventLoop.executor.asUnownedSerialExecutor() }

    init(_ factory: ConnectionFactory, _ configuration: RedisConfiguration, on eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        self.factory = factory
        self.backoff = configuration.backoff
        self.pingInterval = TimeAmount(configuration.pingInterval)
        self.logger = configuration.logger
        // A channel may have to be left and entered again before the first reply.
        self.state = SubscriptionState(limit: 2 * configuration.maximumSubscriptions)
    }

    /// Subscribes, as soon as there is a connection, in the order of the calls.
    nonisolated func want(_ channel: SubscriptionChannel, for listener: any SubscriptionListener) {
        self.eventLoop.execute {
            self.assumeIsolated { connection in
                connection.listener = listener
                connection.perform(connection.state.want(channel))
            }
        }
    }

    /// Unsubscribes, in the order of the calls.
    nonisolated func unwant(_ channel: SubscriptionChannel) {
        self.eventLoop.execute {
            self.assumeIsolated { connection in connection.perform(connection.state.unwant(channel)) }
        }
    }

    /// The server at the other end; `nil` while there is none.
    var peer: NodeAddress? { self.channel == nil ? nil : self.address }

    nonisolated func close() {
        self.eventLoop.execute { self.assumeIsolated { connection in connection.perform(connection.state.close()) } }
    }

    var isConnecting: Bool { self.state.isConnecting }

    func isCurrent(_ attempt: Int) -> Bool { self.state.isCurrent(attempt) }

    func retire() {
        self.perform(self.state.retire())
    }

    func pauseEnded() {
        self.perform(self.state.pauseEnded())
    }

    func flush() {
        self.isFlushPlanned = false
        guard let channel = self.channel, channel.isWritable else { return }
        let commands = self.state.send()
        if commands.isEmpty { return }
        var buffer = channel.allocator.buffer(capacity: commands.reduce(0) { $0 + $1.encodedSize })
        for command in commands { command.write(to: &buffer) }
        channel.writeAndFlush(buffer, promise: nil)
    }

    private func perform(_ step: SubscriptionStep) {
        if step.closesConnection { self.dropChannel()?.close(promise: nil) }
        for event in step.events { self.listener?.handle(event, from: self) }
        self.take(step.next)
    }

    private func dropChannel() -> (any Channel)? {
        defer { self.channel = nil }
        self.ticks?.cancel()
        return self.channel
    }
}

extension SubscriptionConnection {
    func opened(_ channel: any Channel, to address: NodeAddress, attempt: Int) {
        guard self.adopt(channel, to: address, attempt: attempt) else { return }
        self.logger.debug("Connected for subscriptions", metadata: ["redis.address": "\(address)"])
        self.ticks = self.eventLoop.scheduleRepeatedTask(initialDelay: self.pingInterval, delay: self.pingInterval) {
            [weak self] _ in
            self?.assumeIsolated { connection in connection.perform(connection.state.tick()) }
        }
        self.perform(self.state.opened(attempt))
    }

    func received(_ value: RESPValue, attempt: Int) {
        if self.state.isCurrent(attempt) { self.perform(self.state.received(value)) }
    }

    func ended(_ end: ConnectionEnd, attempt: Int) {
        guard self.state.isCurrent(attempt) else { return }
        _ = self.dropChannel()
        self.announced = nil
        self.perform(self.state.ended(attempt))
        self.logger.debug(
            "Connection for subscriptions ended",
            metadata: ["redis.reason": "\(end.errorBeforeSending)", "redis.failures": "\(self.state.failures)"])
    }
}
