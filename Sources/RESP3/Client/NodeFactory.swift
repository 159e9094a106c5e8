import NIOCore

/// Makes nodes and connections, all with the same configuration.
struct NodeFactory: Sendable {
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

    /// See ``RedisConfiguration/maximumConnectFailures``.
    func with(maximumConnectFailures: Int) -> NodeFactory {
        var factory = self
        factory.configuration.maximumConnectFailures = maximumConnectFailures
        return factory
    }

    func node(at address: NodeAddress) -> Node {
        self.node(named: "\(address)", at: FixedAddress(node: address), requiresPrimary: false)
    }

    /// The node that the source finds, as long as it takes itself for the primary.
    func primary(named name: String, at source: some AddressSource) -> Node {
        self.node(named: name, at: source, requiresPrimary: true)
    }

    private func node(named name: String, at source: some AddressSource, requiresPrimary: Bool) -> Node {
        let connections = self.connectionFactory(source, self.handshake(requiresPrimary: requiresPrimary))
        return Node(
            name: name,
            connections: (0..<max(1, self.configuration.connectionsPerNode)).map { _ in self.connection(connections) },
            waitConnection: self.connection(connections, sharesWaits: true),
            largeConnection: self.connection(
                connections, maximumInFlight: max(1, self.configuration.maximumLargeCallsInFlight)),
            subscriptions: self.subscriptionConnection(connections), timeout: self.configuration.commandTimeout)
    }

    /// A connection that asks a sentinel.
    func sentinelConnection(to address: NodeAddress) -> CommandConnection {
        self.connection(self.connectionFactory(FixedAddress(node: address), self.sentinelHandshake))
    }

    /// A connection on which a sentinel publishes changes.
    func sentinelSubscriptions(at source: some AddressSource) -> SubscriptionConnection {
        self.subscriptionConnection(self.connectionFactory(source, self.sentinelHandshake))
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

    private func connectionFactory(_ source: some AddressSource, _ handshake: Handshake.Settings) -> ConnectionFactory {
        ConnectionFactory(
            source: source, transport: self.transport, handshake: handshake,
            timeout: self.configuration.connectTimeout, limits: self.configuration.limits)
    }

    private func connection(
        _ factory: ConnectionFactory, sharesWaits: Bool = false, maximumInFlight: Int? = nil
    ) -> CommandConnection {
        CommandConnection(
            factory, self.configuration, on: self.configuration.eventLoopGroup.next(), sharesWaits: sharesWaits,
            maximumInFlight: maximumInFlight)
    }

    private func subscriptionConnection(_ factory: ConnectionFactory) -> SubscriptionConnection {
        SubscriptionConnection(factory, self.configuration, on: self.configuration.eventLoopGroup.next())
    }
}
