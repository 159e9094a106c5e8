import Logging
import NIOCore
import Synchronization

/// The servers of a cluster as far as they are known, and the connections to them.
final class ClusterTopology: Sendable {
    private struct State {
        var map: SlotMap?
        var nodes: [NodeAddress: Node] = [:]
        /// Those that have not been used since they were last found missing in the map.
        var idle: Set<NodeAddress> = []
        var isClosed = false
    }

    /// How many servers are asked for the map at the same time.
    private static let width = 3

    private let seeds: [NodeAddress]
    private let factory: NodeFactory
    private let state = Mutex(State())
    private let refreshing: Coalesced<SlotMap>

    init(_ seeds: [NodeAddress], _ factory: NodeFactory) {
        self.seeds = seeds
        // A server that is down is better left for what the others say than waited for.
        self.factory = factory.with(maximumConnectFailures: 1)
        self.refreshing = Coalesced(on: factory.configuration.eventLoopGroup.next())
    }

    /// The map, asked for if it is not known.
    func map(deadline: NIODeadline) async throws(RedisError) -> SlotMap {
        if let map = self.state.withLock({ $0.map }) { return map }
        return try await self.refresh(deadline: deadline)
    }

    /// Asks for the map anew.
    @discardableResult
    func refresh(deadline: NIODeadline) async throws(RedisError) -> SlotMap {
        try await self.refreshing.value(deadline: deadline) { try await self.ask() }
    }

    /// Begins to ask for the map anew, unless that is under way.
    func refreshSoon() {
        self.refreshing.start { try await self.ask() }
    }

    /// Notes what a server said about one slot.
    func move(_ slot: HashSlot, to address: NodeAddress) {
        self.state.withLock { $0.map?.move(slot, to: address) }
    }

    /// The server of a slot, or some server if the slot has none or none is asked for.
    func address(of slot: HashSlot?, deadline: NIODeadline) async throws(RedisError) -> NodeAddress {
        let map = try await self.map(deadline: deadline)
        guard let address = slot.flatMap({ map.owner(of: $0) }) ?? map.primaries.randomElement() else {
            throw .notSent("The cluster has no servers.")
        }
        return address
    }

    /// The connections to a server.
    func node(at address: NodeAddress) throws(RedisError) -> Node {
        let node = self.state.withLock { state -> Node? in
            if state.isClosed { return nil }
            state.idle.remove(address)
            if let node = state.nodes[address] { return node }
            let node = self.factory.node(at: address)
            state.nodes[address] = node
            return node
        }
        guard let node else { throw .closed }
        return node
    }

    /// By which way the messages of a channel come; `nil` while the map is not known.
    func route(of channel: String) -> SubscriptionRoute? {
        let map = self.state.withLock { $0.map }
        guard let map, let address = map.owner(of: HashSlot(key: Array(channel.utf8))) ?? map.primaries.first,
            let node = try? self.node(at: address)
        else { return nil }
        return SubscriptionRoute(connection: node.subscriptions, isSharded: map.hasShardedChannels)
    }

    func close() async {
        let nodes = self.state.withLock { state in
            state.isClosed = true
            defer { state.nodes = [:] }
            return state.nodes.values
        }
        await withDiscardingTaskGroup { group in
            for node in nodes { group.addTask { await node.close() } }
        }
    }
}

extension ClusterTopology {
    /// Asks servers, some at a time, until one replies.
    private func ask() async throws(RedisError) -> SlotMap {
        var failure = RedisError.notSent("There is no server to ask for the cluster.")
        for candidates in self.candidates {
            do throws(RedisError) {
                let map = try await self.ask(candidates)
                self.adopt(map)
                return map
            } catch {
                failure = error
            }
        }
        throw .notSent("No server of the cluster replies. \(failure)")
    }

    /// Those to ask at the same time, and those to ask if none of them replies.
    ///
    /// The seeds come last: one that has left the cluster since may still believe in its old map.
    private var candidates: [ArraySlice<NodeAddress>] {
        let known = self.state.withLock { $0.map?.primaries ?? [] }.shuffled()
        return [known, self.seeds.shuffled()].flatMap { servers in
            stride(from: 0, to: servers.count, by: Self.width).map { servers[$0...].prefix(Self.width) }
        }
    }

    private func ask(_ addresses: ArraySlice<NodeAddress>) async throws(RedisError) -> SlotMap {
        try await withTaskGroup(of: Result<SlotMap, RedisError>.self) { group in
            for address in addresses { group.addTask { await self.ask(address) } }
            // Those that are slower than the first good reply are not waited for.
            defer { group.cancelAll() }
            var failure = Result<SlotMap, RedisError>.failure(.notSent("There is no server to ask."))
            for await reply in group {
                if case .success = reply { return reply }
                failure = reply
            }
            return failure
        }.get()
    }

    private func ask(_ address: NodeAddress) async -> Result<SlotMap, RedisError> {
        do throws(RedisError) {
            let deadline = NIODeadline.now() + TimeAmount(self.factory.configuration.connectTimeout)
            let replies = try await self.node(at: address).send(SlotMap.question, deadline: deadline)
            if let map = SlotMap(replies, from: address) { return .success(map) }
            throw replies.first?.serverError.map { .server($0) } ?? .notSent("\(address) knows no slots of a cluster.")
        } catch {
            return .failure(error)
        }
    }

    /// Uses a map, and drops the connections to servers that are no longer part of it.
    ///
    /// A server without slots may be one that a slot is being moved to; it is kept while it is used. What is dropped
    /// closes when its last command has its reply.
    private func adopt(_ map: SlotMap) {
        let leaving = self.state.withLock { state in
            state.map = map
            let missing = Set(state.nodes.keys).subtracting(map.primaries)
            let leaving = missing.intersection(state.idle)
            state.idle = missing.subtracting(leaving)
            return leaving.compactMap { state.nodes.removeValue(forKey: $0) }
        }
        self.factory.configuration.logger.debug(
            "Cluster known", metadata: ["redis.primaries": "\(map.primaries.count)", "redis.left": "\(leaving.count)"])
    }
}
