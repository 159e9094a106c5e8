/// How the client that a ``PostgresStore`` brings connects.
public struct PostgresConnectionConfiguration: Sendable {
    /// How many connections the calls share at most, besides the one that listens.
    public var connections: Int

    /// How long it may take to connect to a host, unless the URL says otherwise; in whole seconds, two at least.
    public var connectTimeout: Duration

    /// Whether the store keeps one connection for notifications, by which waiting requests are woken.
    ///
    /// Turn it off behind PgBouncer in transaction mode, where notifications do not arrive: waiting requests ask the server from
    /// time to time then.
    public var listens: Bool

    /// What the server shows this client as in `pg_stat_activity`, unless the URL says otherwise.
    public var applicationName: String

    /// Creates a configuration.
    ///
    /// - Parameters:
    ///   - connections: How many connections the calls share at most; at least one, and two if operations run in transactions: those hold
    ///     one each, and leases are renewed through another.
    ///   - connectTimeout: How long it may take to connect to a host.
    ///   - listens: Whether the store keeps one connection for notifications.
    ///   - applicationName: What the server shows this client as.
    public init(
        connections: Int = 8,
        connectTimeout: Duration = .seconds(5),
        listens: Bool = true,
        applicationName: String = "idemptx"
    ) {
        self.connections = connections
        self.connectTimeout = connectTimeout
        self.listens = listens
        self.applicationName = applicationName
    }
}
