import NIOCore
import NIOPosix
import NIOSSL

/// How channels are opened: as sockets, except in tests.
struct Transport: Sendable {
    /// Prepares the channel's pipeline before there are bytes to read.
    typealias Setup = @Sendable (any Channel) throws -> Void

    let open: @Sendable (NodeAddress, any EventLoop, @escaping Setup) -> EventLoopFuture<any Channel>
}

extension Transport {
    /// Sockets, encrypted or not.
    static func sockets(tls: TLSSettings?, timeout: Duration) throws(RedisError) -> Transport {
        let encryption = try tls.map { settings throws(RedisError) in try Encryption(settings) }
        return Transport { address, eventLoop, setUp in
            let bootstrap = ClientBootstrap(group: eventLoop)
                .connectTimeout(TimeAmount(timeout))
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelOption(.socketOption(.so_keepalive), value: 1)
                .channelOption(.writeBufferWaterMark, value: .init(low: 1 << 18, high: 1 << 20))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try encryption?.add(to: channel, address)
                        try setUp(channel)
                    }
                }
            switch address {
            case .tcp(let host, let port): return bootstrap.connect(host: host, port: port)
            case .unixSocket(let path): return bootstrap.connect(unixDomainSocketPath: path)
            }
        }
    }
}

/// TLS, with its files read.
private struct Encryption: Sendable {
    let context: NIOSSLContext
    let serverName: String?

    init(_ settings: TLSSettings) throws(RedisError) {
        self.context = try settings.makeContext()
        self.serverName = settings.serverName
    }

    func add(to channel: any Channel, _ address: NodeAddress) throws {
        let handler = try NIOSSLClientHandler(context: self.context, serverHostname: self.name(of: address))
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    /// The name to check the certificate for; without one it is checked for the IP address.
    private func name(of address: NodeAddress) -> String? {
        if let serverName = self.serverName { return serverName }
        guard case .tcp(let host, _) = address else { return nil }
        let isIP = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        return isIP ? nil : host
    }
}
