import NIOCore
import NIOPosix

/// A stretch of the way between a client and a server that can be disturbed.
package final actor TCPProxy {
    private enum Mode {
        case open
        /// What comes is kept.
        case held
        /// What the server says is kept.
        case holdingReplies
        /// The next reply of the server is dropped, and all connections with it.
        case cuttingBeforeReply
    }

    /// The two ends of one connection.
    private struct Pair {
        let client: any Channel
        let server: any Channel
        var held: [(channel: any Channel, bytes: ByteBuffer)] = []
    }

    nonisolated private let eventLoop: any EventLoop
    nonisolated private let targetPort: Int
    private var mode = Mode.open
    private var pairs: [ObjectIdentifier: Pair] = [:]
    private var listener: (any Channel)?

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe self.eventLoop.executor.asUnownedSerialExecutor()
    }

    private init(_ targetPort: Int) {
        self.eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        self.targetPort = targetPort
    }

    /// Runs a proxy in front of a port of this host while `body` runs.
    @discardableResult
    package static func with<Value: Sendable>(
        port: Int, _ body: (TCPProxy) async throws -> Value
    ) async throws -> Value {
        let proxy = TCPProxy(port)
        try await proxy.listen()
        do {
            let value = try await body(proxy)
            await proxy.close()
            return value
        } catch {
            await proxy.close()
            throw error
        }
    }

    /// The port of the proxy.
    package var port: Int { self.listener?.localAddress?.port ?? 0 }

    /// How many connections there are.
    package var connectionCount: Int { self.pairs.count }

    /// Lets the next request through, waits for the server's reply to it, drops it, and cuts the connection.
    package func cutBeforeNextReply() {
        self.mode = .cuttingBeforeReply
    }

    /// Cuts all connections.
    package func cut() {
        for pair in self.pairs.values {
            pair.client.close(promise: nil)
            pair.server.close(promise: nil)
        }
        self.pairs = [:]
    }

    /// Keeps what either side says, without an end to the connections.
    package func hold() {
        self.mode = .held
    }

    /// Keeps what the server says, and delivers what it is told.
    package func holdReplies() {
        self.mode = .holdingReplies
    }

    /// Delivers what was kept, and all that comes.
    package func release() {
        self.mode = .open
        for (id, pair) in self.pairs {
            for (channel, bytes) in pair.held { channel.writeAndFlush(bytes, promise: nil) }
            self.pairs[id]?.held = []
        }
    }

    private func listen() async throws {
        self.listener = try await ServerBootstrap(group: self.eventLoop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { client in self.connect(client) }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    private func close() async {
        self.cut()
        try? await self.listener?.close()
    }

    private nonisolated func connect(_ client: any Channel) -> EventLoopFuture<Void> {
        ClientBootstrap(group: self.eventLoop).channelOption(.autoRead, value: false)
            .connect(host: "127.0.0.1", port: self.targetPort)
            .flatMapThrowing { server in
                let id = ObjectIdentifier(client)
                try client.pipeline.syncOperations.addHandler(ProxyEnd(proxy: self, pair: id))
                try server.pipeline.syncOperations.addHandler(ProxyEnd(proxy: self, pair: id))
                self.assumeIsolated { $0.pairs[id] = Pair(client: client, server: server) }
                for channel in [client, server] { channel.setOption(.autoRead, value: true).whenFailure { _ in } }
            }
    }

    fileprivate func received(_ bytes: ByteBuffer, from channel: any Channel, on id: ObjectIdentifier) {
        guard let pair = self.pairs[id] else { return }
        let isFromServer = channel === pair.server
        let destination = isFromServer ? pair.client : pair.server
        switch self.mode {
        case .held:
            self.pairs[id]?.held.append((destination, bytes))
        case .holdingReplies where isFromServer:
            self.pairs[id]?.held.append((destination, bytes))
        case .cuttingBeforeReply where isFromServer:
            self.mode = .open
            self.cut()
        case .open, .cuttingBeforeReply, .holdingReplies:
            destination.writeAndFlush(bytes, promise: nil)
        }
    }

    fileprivate func ended(_ id: ObjectIdentifier) {
        guard let pair = self.pairs.removeValue(forKey: id) else { return }
        pair.client.close(promise: nil)
        pair.server.close(promise: nil)
    }
}

private final class ProxyEnd: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let proxy: TCPProxy
    private let pair: ObjectIdentifier

    init(proxy: TCPProxy, pair: ObjectIdentifier) {
        self.proxy = proxy
        self.pair = pair
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let (bytes, channel, pair) = (Self.unwrapInboundIn(data), context.channel, self.pair)
        self.proxy.assumeIsolated { $0.received(bytes, from: channel, on: pair) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        let pair = self.pair
        self.proxy.assumeIsolated { $0.ended(pair) }
    }
}
