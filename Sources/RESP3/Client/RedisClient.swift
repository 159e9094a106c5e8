package import NIOCore

/// A Redis or Valkey service: one server, a primary behind sentinels, or a cluster.
///
/// Connections are made on first use, shared by all callers, and made again after a loss; a service that was away
/// is used again without a restart. While it is away, commands fail within their deadline, and after some failed
/// attempts to connect, at once.
///
/// ```swift
/// let client = try RedisConfiguration(RedisEndpoint(url: "redis://localhost")).makeClient()
/// let reply = try await client.send(["GET", "greeting"], key: "greeting")
/// await client.close()
/// ```
package protocol RedisClient: RedisNode {
    /// The servers that take writes, between them all keys of the service.
    ///
    /// - Parameter deadline: When to stop finding them out.
    /// - Returns: The one server, the primary, or the primaries of the cluster.
    /// - Throws: ``RedisError`` if a cluster cannot be asked.
    func primaries(deadline: NIODeadline) async throws(RedisError) -> [any RedisPrimary]

    /// The command that reaches the subscribers of ``subscribe(to:)``: `PUBLISH`, or in a cluster that has it,
    /// `SPUBLISH`.
    ///
    /// A script that publishes with `SPUBLISH` has to run in the slot of the channel.
    ///
    /// - Parameter deadline: When to stop finding it out.
    /// - Returns: The name of the command.
    /// - Throws: ``RedisError`` if a cluster cannot be asked.
    func publishCommand(deadline: NIODeadline) async throws(RedisError) -> String

    /// Hints at messages in a channel.
    ///
    /// The first hint comes when the server has confirmed the subscription: a caller that reads the state after that
    /// hint misses no later message. A hint also comes with every message, when the connection is lost, and when the
    /// subscription is confirmed anew, since something may have been missed in between. Unread hints
    /// are merged into one.
    ///
    /// The stream ends when the server refuses the subscription, when too many channels are subscribed to, or when the
    /// client is closed. Dropping it unsubscribes. All streams share one connection to each server.
    ///
    /// - Parameter channel: The name of the channel.
    /// - Returns: A stream for one consumer.
    func subscribe(to channel: String) -> AsyncStream<Void>

    /// Refuses further commands, waits for those under way until their deadlines, and closes all connections.
    func close() async
}

extension RedisClient {
    /// The servers that take writes, between them all keys of the service.
    ///
    /// - Returns: The one server, the primary, or the primaries of the cluster.
    /// - Throws: ``RedisError`` if a cluster cannot be asked within ``RedisNode/commandTimeout``.
    package func primaries() async throws(RedisError) -> [any RedisPrimary] {
        try await self.primaries(deadline: .now() + TimeAmount(self.commandTimeout))
    }

    /// The command that reaches the subscribers of ``subscribe(to:)``: `PUBLISH` or `SPUBLISH`.
    ///
    /// - Returns: The name of the command.
    /// - Throws: ``RedisError`` if a cluster cannot be asked within ``RedisNode/commandTimeout``.
    package func publishCommand() async throws(RedisError) -> String {
        try await self.publishCommand(deadline: .now() + TimeAmount(self.commandTimeout))
    }
}

extension RedisConfiguration {
    /// Creates a client, which does not connect before it is used.
    ///
    /// - Returns: A client for the topology of the endpoint.
    /// - Throws: ``RedisError/refused(_:)`` if the files for TLS cannot be used.
    package func makeClient() throws(RedisError) -> any RedisClient {
        let factory = try NodeFactory(self)
        return switch self.endpoint.topology {
        case .standalone(let address): StandaloneClient(address, factory)
        case .sentinel(let sentinels, let primary): SentinelClient(sentinels, primary: primary, factory)
        case .cluster(let seeds): ClusterClient(seeds, factory)
        }
    }
}
