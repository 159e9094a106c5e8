import Logging
import NIOCore
import Synchronization

/// A client of the primary that sentinels watch.
///
/// It follows a failover when a connection is lost, when the server says that it is a replica now, and when a sentinel
/// announces it, which is what frees it from a primary that is separated from the others and does not know.
final class SentinelClient: RedisClient {
    private let node: Node
    private let source: SentinelSource
    private let subscriptions: Subscriptions
    private let backoff: Backoff
    private let news: SubscriptionConnection
    private let watch: Task<Void, Never>

    init(_ sentinels: [NodeAddress], primary: String, _ factory: NodeFactory) {
        // One sentinel may be down while others are up.
        let hasty = factory.with(maximumConnectFailures: 1)
        let source = SentinelSource(
            sentinels.map { ($0, hasty.sentinelConnection(to: $0)) }, primary: primary,
            timeout: factory.configuration.connectTimeout)
        let node = factory.primary(named: primary, at: source)
        let route = SubscriptionRoute(connection: node.subscriptions, isSharded: false)
        let news = factory.sentinelSubscriptions(at: SentinelRotation(sentinels))
        self.source = source
        self.node = node
        self.subscriptions = Subscriptions(factory.configuration) { _ in route }
        self.backoff = factory.configuration.backoff
        self.news = news
        self.watch = Self.watch(node, source, news, factory.configuration)
    }

    deinit {
        self.watch.cancel()
        self.news.close()
    }

    private static func watch(
        _ node: Node, _ source: SentinelSource, _ news: SubscriptionConnection, _ configuration: RedisConfiguration
    ) -> Task<Void, Never> {
        let route = SubscriptionRoute(connection: news, isSharded: false)
        let subscriptions = Subscriptions(configuration) { _ in route }
        // News comes unasked, whether there are commands or not. The task ends with the client.
        return Task { [weak node] in
            for await _ in subscriptions.subscribe(to: "+switch-master") {
                // A hint is also due when a sentinel was lost or found, so that most lead nowhere.
                guard let address = await Self.address(source, news, configuration.backoff) else { continue }
                await node?.move(to: address)
            }
        }
    }

    /// Asks the sentinel that tells the news: another may not have heard it yet, and would name the old primary.
    ///
    /// - Returns: `nil` if it is lost; there is a hint when another is found.
    private static func address(
        _ source: SentinelSource, _ news: SubscriptionConnection, _ backoff: Backoff
    ) async -> NodeAddress? {
        var failures = 0
        while let sentinel = await news.peer {
            do throws(RedisError) {
                return try await source.address(accordingTo: sentinel)
            } catch {
                failures += 1
                guard (try? await backoff.sleep(backoff.pause(after: failures))) != nil else { return nil }
            }
        }
        return nil
    }

    var commandTimeout: Duration { self.node.commandTimeout }

    func send(
        _ commands: [RedisCommand], key: RedisArgument?, deadline: NIODeadline
    ) async throws(RedisError) -> [RESPValue] {
        var repetition = Repetition(self.backoff, deadline: deadline)
        while true {
            let replies = try await self.node.send(commands, deadline: deadline)
            guard replies.first?.serverError?.code == "READONLY" else { return replies }
            // The connection retires by itself, and the next try leaves by one whose address was asked for anew.
            guard try await repetition.next(pausing: true) else { return replies }
        }
    }

    func primaries(deadline: NIODeadline) -> [any RedisPrimary] { [self.node] }

    func publishCommand(deadline: NIODeadline) -> String { "PUBLISH" }

    func subscribe(to channel: String) -> AsyncStream<Void> {
        self.subscriptions.subscribe(to: channel)
    }

    func close() async {
        self.watch.cancel()
        self.news.close()
        self.subscriptions.close()
        await self.node.close()
        await self.source.close()
    }
}
