package import Logging
package import NIOCore
import NIOPosix

/// A reverse proxy: it forwards requests to one upstream, and hands those that a handler wants to the handler.
///
/// A request that is forwarded never leaves the event loop that read it: its connection, the pool of connections to the
/// upstream, and all that they share belong to that loop. ``HTTP1Connection`` (or ``HTTP2Stream``) reads the head, lets
/// ``RequestScreen`` look at it, asks the handler, and starts a ``RequestForwarder``, which takes an ``UpstreamConnection``
/// from the ``ConnectionPool``. Both sides write bytes, which leave at the ``EndOfTick``; neither reads while the other is
/// full. A request that is handled becomes a ``HandledProcess`` and one task, which outlives the client.
package final class ProxyServer: Sendable {
    private let loops: [NIOLoopBound<LoopState>]
    private let running: RunningCount
    private let channel: any Channel

    /// The port; `nil` if there is none.
    package var port: Int? { self.channel.localAddress?.port }

    private init(_ loops: [NIOLoopBound<LoopState>], running: RunningCount, channel: any Channel) {
        self.loops = loops
        self.running = running
        self.channel = channel
    }

    /// Begins to listen.
    ///
    /// - Parameters:
    ///   - configuration: How it works.
    ///   - handler: What the embedding program decides and does.
    ///   - group: The event loops.
    ///   - logger: What it tells.
    /// - Returns: The server, which goes on until it is shut down.
    /// - Throws: An error if the address cannot be listened on.
    package static func start(
        _ configuration: ServerConfiguration, handler: any RequestHandler, on group: any EventLoopGroup, logger: Logger
    ) async throws -> ProxyServer {
        let budget = ConnectionBudget(limit: configuration.limits.maxUpstreamConnections)
        let running = RunningCount()
        var states: [ObjectIdentifier: NIOLoopBound<LoopState>] = [:]
        for eventLoop in group.makeIterator() {
            states[ObjectIdentifier(eventLoop)] = try await eventLoop.submit {
                let state = LoopState(
                    on: eventLoop, configuration: configuration, budget: budget, bodies: configuration.bodies,
                    handler: handler,
                    running: running, logger: logger)
                return NIOLoopBound(state, eventLoop: eventLoop)
            }.get()
        }
        let (loops, initializer) = (states, ClientInitializer(configuration: configuration))
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AcceptLimitHandler(limit: configuration.limits.maxConnections))
                }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let loop = loops[ObjectIdentifier(channel.eventLoop)]?.value else {
                        throw ChannelError.operationUnsupported
                    }
                    try loop.initialize(channel, by: initializer)
                }
            }
            .bind(host: configuration.host, port: configuration.port).get()
        return ProxyServer(Array(states.values), running: running, channel: channel)
    }

    /// Stops listening, and ends each connection with the response that it carries.
    package func drain() async {
        try? await self.channel.close()
        await self.onEachLoop { $0.drain() }
    }

    /// Whether no client is connected, and no handler at work.
    package func isIdle() async -> Bool {
        guard self.running.isZero else { return false }
        for loop in self.loops {
            guard (try? await loop.eventLoop.submit { loop.value.isIdle }.get()) ?? true else { return false }
        }
        return true
    }

    /// Ends all that waits for the upstream: its clients get 502, and what was sent may have been processed.
    package func cutUpstream() async {
        await self.onEachLoop { $0.pool.shutDown() }
    }

    /// Ends all connections.
    package func cutClients() async {
        await self.onEachLoop { $0.shutDown() }
    }

    /// Stops listening, finishes what is under way, and ends.
    ///
    /// - Parameters:
    ///   - drainTime: How long to wait for requests whose response is not complete; then those that still wait for the upstream
    ///     fail.
    ///   - lastTime: How long clients may take for the last responses after that.
    package func shutDown(drainTime: Duration, lastTime: Duration = .seconds(1)) async {
        await self.drain()
        if !(await self.becomesIdle(within: drainTime)) {
            await self.cutUpstream()
            _ = await self.becomesIdle(within: lastTime)
        }
        await self.cutUpstream()
        await self.cutClients()
    }

    private func becomesIdle(within time: Duration) async -> Bool {
        let end = ContinuousClock.now.advanced(by: time)
        while !(await self.isIdle()) {
            guard ContinuousClock.now < end, !Task.isCancelled else { return false }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return true
    }

    private func onEachLoop(_ body: @escaping @Sendable (LoopState) -> Void) async {
        for loop in self.loops {
            try? await loop.eventLoop.submit { body(loop.value) }.get()
        }
    }
}
