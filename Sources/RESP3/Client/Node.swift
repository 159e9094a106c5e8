import NIOCore
import Synchronization

/// One server, or whichever one an address source names at the moment, and the connections to it.
final class Node: RedisPrimary {
    let name: String
    let subscriptions: SubscriptionConnection
    let commandTimeout: Duration
    private let connections: [CommandConnection]
    /// For calls that end with a `WAIT`, behind which a server sends no other reply on a connection.
    private let waitConnection: CommandConnection
    /// For large calls, behind which small ones would be late.
    private let largeConnection: CommandConnection
    private let turn = Atomic(0)

    init(
        name: String,
        connections: [CommandConnection],
        waitConnection: CommandConnection,
        largeConnection: CommandConnection,
        subscriptions: SubscriptionConnection,
        timeout: Duration
    ) {
        self.name = name
        self.connections = connections
        self.waitConnection = waitConnection
        self.largeConnection = largeConnection
        self.subscriptions = subscriptions
        self.commandTimeout = timeout
    }

    deinit {
        for connection in self.allConnections { connection.closeSoon() }
        self.subscriptions.close()
    }

    private var allConnections: [CommandConnection] {
        self.connections + [self.waitConnection, self.largeConnection]
    }

    func send(
        _ commands: [RedisCommand], key: RedisArgument? = nil, deadline: NIODeadline
    ) async throws(RedisError) -> [RESPValue] {
        if commands.last?.isWait == true { return try await self.waitConnection.send(commands, deadline: deadline) }
        if commands.contains(where: \.isLarge) {
            return try await self.largeConnection.send(commands, deadline: deadline)
        }
        if self.connections.count == 1 { return try await self.connections[0].send(commands, deadline: deadline) }
        let turn = self.turn.wrappingAdd(1, ordering: .relaxed).newValue
        return try await self.connections[Int(UInt(bitPattern: turn) % UInt(self.connections.count))]
            .send(commands, deadline: deadline)
    }

    /// Moves to `address`, unless that is where it is.
    func move(to address: NodeAddress) async {
        for connection in self.allConnections { await connection.retire(unlessAt: address) }
        await self.subscriptions.retire(unlessAt: address)
    }

    func close() async {
        self.subscriptions.close()
        for connection in self.allConnections { await connection.close() }
    }
}
