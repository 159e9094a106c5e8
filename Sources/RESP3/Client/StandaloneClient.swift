import NIOCore

/// A client of one server.
final class StandaloneClient: RedisClient {
    private let node: Node
    private let subscriptions: Subscriptions

    init(_ address: NodeAddress, _ factory: NodeFactory) {
        let node = factory.node(at: address)
        let route = SubscriptionRoute(connection: node.subscriptions, isSharded: false)
        self.node = node
        self.subscriptions = Subscriptions(factory.configuration) { _ in route }
    }

    var commandTimeout: Duration { self.node.commandTimeout }

    func send(
        _ commands: [RedisCommand], key: RedisArgument?, deadline: NIODeadline
    ) async throws(RedisError) -> [RESPValue] {
        try await self.node.send(commands, deadline: deadline)
    }

    func primaries(deadline: NIODeadline) -> [any RedisPrimary] { [self.node] }

    func publishCommand(deadline: NIODeadline) -> String { "PUBLISH" }

    func subscribe(to channel: String) -> AsyncStream<Void> {
        self.subscriptions.subscribe(to: channel)
    }

    func close() async {
        self.subscriptions.close()
        await self.node.close()
    }
}
