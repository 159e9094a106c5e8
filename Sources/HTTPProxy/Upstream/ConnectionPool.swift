import NIOCore
import NIOPosix
import NIOSSL

/// The connections from one event loop to the upstream.
final class ConnectionPool: Swept {
    private let eventLoop: any EventLoop
    private let configuration: ServerConfiguration
    private let timeouts: Timeouts
    private let endOfTick: EndOfTick
    private let budget: ConnectionBudget
    private let sweep: Sweep
    private var state = ConnectionPoolState<UpstreamConnection, Waiter>()
    private var isShutDown = false
    /// Whether the budget has been asked for a slot.
    private var awaitsSlot = false
    /// How many slots of the budget the pool has.
    private var slots = 0

    /// `any UpstreamUser` is no class type of its own, which the state machine needs.
    final class Waiter {
        let user: any UpstreamUser

        init(_ user: any UpstreamUser) {
            self.user = user
        }
    }

    init(
        on eventLoop: any EventLoop, configuration: ServerConfiguration, budget: ConnectionBudget, timeouts: Timeouts,
        endOfTick: EndOfTick
    ) {
        self.eventLoop = eventLoop
        self.configuration = configuration
        self.timeouts = timeouts
        self.endOfTick = endOfTick
        self.budget = budget
        self.sweep = Sweep(on: eventLoop, interval: timeouts.sweepInterval)
        let bound = NIOLoopBound(WeakPool(self), eventLoop: eventLoop)
        budget.register { eventLoop.execute { bound.value.pool?.closeIdleForOthers() } }
    }

    /// The budget must not keep the pool alive.
    private struct WeakPool {
        weak var pool: ConnectionPool?

        init(_ pool: ConnectionPool) {
            self.pool = pool
        }
    }

    /// Whether connections are scarce.
    var isTight: Bool { self.budget.isTight }

    // MARK: Taking and giving back

    /// Finds a connection for a request; `user` is told, perhaps before this returns.
    ///
    /// - Returns: What to ``cancel(_:)`` if the connection is not needed any more.
    @discardableResult
    func take(for user: any UpstreamUser, _ demand: ConnectionDemand) -> Waiter? {
        guard !self.isShutDown else {
            user.connectionUnavailable(UpstreamFailure(.notSent, "The proxy is shutting down"))
            return nil
        }
        while demand != .fresh, let idle = self.state.idle.last {
            // The other idle connections are older still. They stay for requests that may be retried.
            guard demand == .any || NIODeadline.now() - idle.since <= self.timeouts.seenAlive else { break }
            _ = self.state.takeIdle()
            guard idle.connection.isAlive else {
                idle.connection.close()
                continue
            }
            user.connectionReady(idle.connection)
            return nil
        }
        let waiter = Waiter(user)
        self.state.wait(waiter, needsFresh: demand == .fresh, deadline: .now() + self.timeouts.connect)
        self.sweep.add(self)
        self.makeMissing()
        return waiter
    }

    func cancel(_ waiter: Waiter) {
        self.state.cancel(waiter)
    }

    /// A connection has served a request, and can serve another one.
    func release(_ connection: UpstreamConnection) {
        guard !self.isShutDown else { return connection.close() }
        let isWantedElsewhere = self.state.waiting.isEmpty || self.slots > self.budget.share
        if isWantedElsewhere, self.budget.isShort { return connection.close() }
        if let waiter = self.state.released(connection, now: .now()) { waiter.user.connectionReady(connection) }
    }

    /// A connection is no more.
    func closed(_ connection: UpstreamConnection) {
        self.state.closed(connection)
        self.sweep.remove(connection)
        self.giveSlotBack()
        self.makeMissing()
    }

    // MARK: Making

    private func makeMissing() {
        while self.state.missing > 0, !self.isShutDown {
            guard self.budget.take() else { return self.waitForSlot() }
            self.slots += 1
            self.connect()
        }
    }

    private func waitForSlot() {
        // An idle connection of another kind may be in the way of one that has to be fresh.
        if let idle = self.state.takeIdle() { return idle.connection.close() }
        guard !self.awaitsSlot else { return }
        self.awaitsSlot = true
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        let eventLoop = self.eventLoop
        self.budget.takeLater { eventLoop.execute { bound.value.receivedSlot() } }
    }

    private func receivedSlot() {
        self.awaitsSlot = false
        self.slots += 1
        guard self.state.missing > 0, !self.isShutDown else { return self.giveSlotBack() }
        self.connect()
        self.makeMissing()
    }

    private func giveSlotBack() {
        self.slots -= 1
        self.budget.giveBack()
    }

    /// Closes an idle connection, because a pool of another event loop waits for a slot.
    private func closeIdleForOthers() {
        guard self.budget.isShort, self.state.waiting.isEmpty else { return }
        self.state.takeIdle()?.connection.close()
    }

    private func connect() {
        self.state.connectionBegan()
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        let bootstrap = ClientBootstrap(group: self.eventLoop)
            .connectTimeout(self.timeouts.connect)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try bound.value.initialize(channel) }
            }
        let connected =
            switch self.configuration.upstream.address {
            case .unixSocket(let path): bootstrap.connect(unixDomainSocketPath: path)
            case .host(let host, let port): bootstrap.connect(host: host, port: port)
            }
        connected.whenFailure { bound.value.connectingFailed($0) }
    }

    private func initialize(_ channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        let upstream = self.configuration.upstream
        if let tls = upstream.tls {
            let name: String? = if case .host(let host, _) = upstream.address { host } else { nil }
            try pipeline.addHandler(Self.tlsHandler(tls, host: name))
        }
        let connection = UpstreamConnection(
            channel, pool: self, endOfTick: self.endOfTick, timeouts: self.timeouts, limits: self.configuration.limits,
            isSecure: upstream.tls != nil)
        try pipeline.addHandler(connection)
    }

    /// An address is no name that a certificate is asked for by (RFC 6066, section 3).
    private static func tlsHandler(_ context: NIOSSLContext, host: String?) throws -> NIOSSLClientHandler {
        let isAddress = host.map { (try? SocketAddress(ipAddress: $0, port: 0)) != nil } ?? true
        return try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host)
    }

    /// A connection is there, and its handshake is over.
    func connected(_ connection: UpstreamConnection) {
        self.sweep.add(connection)
        guard !self.isShutDown else { return connection.close() }
        if let waiter = self.state.connected(connection, now: .now()) { waiter.user.connectionReady(connection) }
    }

    /// A connection could not be made.
    func connectingFailed(_ error: any Error) {
        self.giveSlotBack()
        let failure = UpstreamFailure(.notSent, "The upstream cannot be reached: \(error)")
        if let waiter = self.state.connectingFailed() { waiter.user.connectionUnavailable(failure) }
        self.makeMissing()
    }

    // MARK: Time

    func sweep(now: NIODeadline) {
        for waiter in self.state.expireWaiting(now: now) {
            waiter.user.connectionUnavailable(
                UpstreamFailure(.notSent, isTimeout: true, "No connection to the upstream in time"))
        }
        for connection in self.state.expireIdle(before: now - self.timeouts.upstreamIdle) { connection.close() }
    }

    func drain() {}

    /// Ends all connections; what is under way fails.
    func shutDown() {
        self.isShutDown = true
        let (connections, waiters) = self.state.drain()
        for waiter in waiters {
            waiter.user.connectionUnavailable(UpstreamFailure(.notSent, "The proxy is shutting down"))
        }
        for connection in connections { connection.close() }
        self.sweep.remove(self)
        self.sweep.shutDown()
    }
}
