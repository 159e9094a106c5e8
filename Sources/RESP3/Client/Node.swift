import NIOCore
import Synchronization

/// One server, or whichever one an address source names at the moment, and the connections to it.
final class Node: RedisPrimary {
    let name: String
    let subscriptions: SubscriptionLink
    let commandTimeout: Duration
    private let links: [Link]
    /// For calls that end with a `WAIT`, behind which a server answers nothing else on a connection.
    private let waitingLink: Link
    private let turn = Atomic(0)

    init(
        name: String, links: [Link], waitingLink: Link, subscriptions: SubscriptionLink, timeout: Duration
    ) {
        self.name = name
        self.links = links
        self.waitingLink = waitingLink
        self.subscriptions = subscriptions
        self.commandTimeout = timeout
    }

    deinit {
        for link in self.allLinks { link.closeSoon() }
        self.subscriptions.close()
    }

    private var allLinks: [Link] { self.links + [self.waitingLink] }

    func send(
        _ commands: [RedisCommand], key: RedisArgument? = nil, deadline: NIODeadline
    ) async throws(RedisError) -> [RESPValue] {
        if commands.last?.isWait == true { return try await self.waitingLink.send(commands, deadline: deadline) }
        let turn = self.turn.wrappingAdd(1, ordering: .relaxed).newValue
        return try await self.links[Int(UInt(bitPattern: turn) % UInt(self.links.count))]
            .send(commands, deadline: deadline)
    }

    /// Moves to `address`, unless that is where it is.
    func move(to address: NodeAddress) async {
        for link in self.allLinks { await link.retire(unlessAt: address) }
        await self.subscriptions.retire(unlessAt: address)
    }

    func close() async {
        self.subscriptions.close()
        for link in self.allLinks { await link.close() }
    }
}
