import NIOCore
import NIOPosix

/// A stretch of the way between a client and a server that can be disturbed.
package final actor LinkProxy {
    private enum Mode {
        case open
        /// What comes is kept.
        case held
        /// The next answer of the server is dropped, and the links with it.
        case cuttingBeforeAnswer
    }

    /// The two ends of one connection.
    private struct Link {
        let client: any Channel
        let server: any Channel
        var held: [(channel: any Channel, bytes: ByteBuffer)] = []
    }

    nonisolated private let eventLoop: any EventLoop
    nonisolated private let targetPort: Int
    private var mode = Mode.open
    private var links: [ObjectIdentifier: Link] = [:]
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
        port: Int, _ body: (LinkProxy) async throws -> Value
    ) async throws -> Value {
        let proxy = LinkProxy(port)
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
    package var linkCount: Int { self.links.count }

    /// Lets the next request through, waits for the server's answer to it, drops it, and cuts the connection.
    package func cutBeforeNextAnswer() {
        self.mode = .cuttingBeforeAnswer
    }

    /// Cuts all connections.
    package func cut() {
        for link in self.links.values {
            link.client.close(promise: nil)
            link.server.close(promise: nil)
        }
        self.links = [:]
    }

    /// Keeps what either side says, without an end to the connections.
    package func hold() {
        self.mode = .held
    }

    /// Delivers what was kept, and all that comes.
    package func release() {
        self.mode = .open
        for (id, link) in self.links {
            for (channel, bytes) in link.held { channel.writeAndFlush(bytes, promise: nil) }
            self.links[id]?.held = []
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
                try client.pipeline.syncOperations.addHandler(ProxyEnd(proxy: self, link: id))
                try server.pipeline.syncOperations.addHandler(ProxyEnd(proxy: self, link: id))
                self.assumeIsolated { $0.links[id] = Link(client: client, server: server) }
                for channel in [client, server] { channel.setOption(.autoRead, value: true).whenFailure { _ in } }
            }
    }

    fileprivate func received(_ bytes: ByteBuffer, from channel: any Channel, on id: ObjectIdentifier) {
        guard let link = self.links[id] else { return }
        let isFromServer = channel === link.server
        let destination = isFromServer ? link.client : link.server
        switch self.mode {
        case .held:
            self.links[id]?.held.append((destination, bytes))
        case .cuttingBeforeAnswer where isFromServer:
            self.mode = .open
            self.cut()
        case .open, .cuttingBeforeAnswer:
            destination.writeAndFlush(bytes, promise: nil)
        }
    }

    fileprivate func ended(_ id: ObjectIdentifier) {
        guard let link = self.links.removeValue(forKey: id) else { return }
        link.client.close(promise: nil)
        link.server.close(promise: nil)
    }
}

private final class ProxyEnd: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let proxy: LinkProxy
    private let link: ObjectIdentifier

    init(proxy: LinkProxy, link: ObjectIdentifier) {
        self.proxy = proxy
        self.link = link
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let (bytes, channel, link) = (Self.unwrapInboundIn(data), context.channel, self.link)
        self.proxy.assumeIsolated { $0.received(bytes, from: channel, on: link) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        let link = self.link
        self.proxy.assumeIsolated { $0.ended(link) }
    }
}
