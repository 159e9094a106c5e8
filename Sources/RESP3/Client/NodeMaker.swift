import NIOCore

/// Makes what talks to servers, all with the same configuration.
struct NodeMaker: Sendable {
    private(set) var configuration: RedisConfiguration
    private let transport: Transport

    init(_ configuration: RedisConfiguration) throws(RedisError) {
        let transport = try Transport.sockets(tls: configuration.endpoint.tls, timeout: configuration.connectTimeout)
        self.init(configuration, transport)
    }

    /// For tests, which may do without sockets.
    init(_ configuration: RedisConfiguration, _ transport: Transport) {
        self.configuration = configuration
        self.transport = transport
    }

    /// See ``RedisConfiguration/patience``.
    func with(patience: Int) -> NodeMaker {
        var maker = self
        maker.configuration.patience = patience
        return maker
    }

    func node(at address: NodeAddress) -> Node {
        self.node(named: "\(address)", at: FixedAddress(node: address), requiresPrimary: false)
    }

    /// The node that the source finds, as long as it takes itself for the primary.
    func primary(named name: String, at source: some AddressSource) -> Node {
        self.node(named: name, at: source, requiresPrimary: true)
    }

    private func node(named name: String, at source: some AddressSource, requiresPrimary: Bool) -> Node {
        let dialer = self.dialer(source, self.handshake(requiresPrimary: requiresPrimary))
        return Node(
            name: name,
            links: (0..<max(1, self.configuration.connectionsPerNode)).map { _ in self.link(dialer) },
            waitingLink: self.link(dialer, sharesWaits: true),
            subscriptions: self.subscriptionLink(dialer), timeout: self.configuration.commandTimeout)
    }

    /// A connection that asks a sentinel.
    func sentinelLink(to address: NodeAddress) -> Link {
        self.link(self.dialer(FixedAddress(node: address), self.sentinelHandshake))
    }

    /// A connection on which a sentinel tells its news.
    func sentinelSubscriptions(at source: some AddressSource) -> SubscriptionLink {
        self.subscriptionLink(self.dialer(source, self.sentinelHandshake))
    }

    private func handshake(requiresPrimary: Bool) -> Handshake.Settings {
        Handshake.Settings(
            credentials: self.configuration.endpoint.credentials, database: self.configuration.endpoint.database,
            clientName: self.configuration.clientName, requiresPrimary: requiresPrimary)
    }

    private var sentinelHandshake: Handshake.Settings {
        Handshake.Settings(
            credentials: self.configuration.endpoint.sentinelCredentials, clientName: self.configuration.clientName)
    }

    private func dialer(_ source: some AddressSource, _ handshake: Handshake.Settings) -> Dialer {
        Dialer(
            source: source, transport: self.transport, handshake: handshake,
            timeout: self.configuration.connectTimeout, limits: self.configuration.limits)
    }

    private func link(_ dialer: Dialer, sharesWaits: Bool = false) -> Link {
        Link(dialer, self.configuration, on: self.configuration.eventLoopGroup.next(), sharesWaits: sharesWaits)
    }

    private func subscriptionLink(_ dialer: Dialer) -> SubscriptionLink {
        SubscriptionLink(dialer, self.configuration, on: self.configuration.eventLoopGroup.next())
    }
}
