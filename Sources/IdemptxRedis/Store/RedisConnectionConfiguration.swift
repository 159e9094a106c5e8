/// How the client that a ``RedisStore`` brings connects.
public struct RedisConnectionConfiguration: Sendable {
    /// How long a command may take, waiting for a connection and redirects included.
    public var commandTimeout: Duration

    /// How long it may take to connect to a server, and then again to be let in.
    public var connectTimeout: Duration

    /// How many connections to each server the commands share.
    public var connectionsPerServer: Int

    /// What the servers show this client as in `CLIENT LIST`.
    public var clientName: String

    /// Creates a configuration.
    ///
    /// - Parameters:
    ///   - commandTimeout: How long a command may take.
    ///   - connectTimeout: How long it may take to connect, and then again to be let in.
    ///   - connectionsPerServer: How many connections to each server the commands share; at least one.
    ///   - clientName: What the servers show this client as.
    public init(
        commandTimeout: Duration = .seconds(2),
        connectTimeout: Duration = .seconds(2),
        connectionsPerServer: Int = 1,
        clientName: String = "idemptx"
    ) {
        self.commandTimeout = commandTimeout
        self.connectTimeout = connectTimeout
        self.connectionsPerServer = connectionsPerServer
        self.clientName = clientName
    }
}
