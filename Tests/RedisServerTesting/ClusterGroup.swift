import RESP3
import TestSupport

/// A cluster of three primaries.
package final class ClusterGroup: Sendable {
    /// The servers, of which each has a third of the slots.
    package let nodes: [RedisServer]

    private init(_ nodes: [RedisServer]) {
        self.nodes = nodes
    }

    /// Runs a cluster while `body` runs, and kills it then.
    @discardableResult
    package static func with<Value>(
        _ options: RedisServerOptions = RedisServerOptions(), _ body: (ClusterGroup) async throws -> Value
    ) async throws -> Value {
        try await ServerCollection.with { servers in
            var nodes: [RedisServer] = []
            for _ in 0..<3 { nodes.append(try await servers.start(options, .clusterNode)) }
            let group = ClusterGroup(nodes)
            try await group.join()
            return try await body(group)
        }
    }

    /// A URL of the cluster that names only its first server.
    package var url: String { "redis+cluster://\(self.nodes[0].host):\(self.nodes[0].port)" }

    private func join() async throws {
        for (index, node) in self.nodes.enumerated() {
            let first = 16384 * index / self.nodes.count
            let last = 16384 * (index + 1) / self.nodes.count
            try await node.send(["CLUSTER", "SET-CONFIG-EPOCH", RedisArgument(index + 1)])
            try await node.send(RedisCommand(["CLUSTER", "ADDSLOTS"] + (first..<last).map { RedisArgument($0) }))
            try await node.send(
                ["CLUSTER", "MEET", RedisArgument(self.nodes[0].host), RedisArgument(self.nodes[0].port)])
        }
        for node in self.nodes {
            try await eventually("all servers of a cluster know each other") {
                let information = try await node.send(["CLUSTER", "INFO"]).string ?? ""
                let slots = try await node.send(["CLUSTER", "SLOTS"]).elements?.count
                return information.contains("cluster_state:ok") && slots == self.nodes.count
            }
        }
    }

    /// The index of the server that has a slot.
    package func owner(of slot: Int) async throws -> Int {
        let ranges = try await self.nodes[0].send(["CLUSTER", "SLOTS"]).elements ?? []
        let range = ranges.compactMap(\.elements).first { range in
            (range[0].integer ?? 0) <= slot && slot <= (range[1].integer ?? 0)
        }
        let port = range?[2].elements?[1].integer
        guard let index = self.nodes.firstIndex(where: { $0.port == port }) else {
            throw ServerFailure("Slot \(slot) has no server.")
        }
        return index
    }

    /// How often the servers have replied with an error code.
    package func errors(_ code: String) async throws -> Int {
        var sum = 0
        for node in self.nodes { sum += try await node.errors(code) }
        return sum
    }

    /// Opens a slot for its move: from now on, keys that are not there are asked for at the other server.
    package func beginMove(of slot: Int, from source: Int, to target: Int) async throws {
        let sourceID = try await self.nodes[source].send(["CLUSTER", "MYID"]).string ?? ""
        let targetID = try await self.nodes[target].send(["CLUSTER", "MYID"]).string ?? ""
        try await self.nodes[target].send(Self.setSlot(slot, "IMPORTING", sourceID))
        try await self.nodes[source].send(Self.setSlot(slot, "MIGRATING", targetID))
    }

    /// Moves the keys of a slot.
    package func moveKeys(of slot: Int, from source: Int, to target: Int) async throws {
        let target = self.nodes[target]
        while true {
            let reply = try await self.nodes[source].send(["CLUSTER", "GETKEYSINSLOT", RedisArgument(slot), 10])
            guard let keys = reply.elements?.compactMap(\.bytes), !keys.isEmpty else { return }
            let head: [RedisArgument] = [
                "MIGRATE", RedisArgument(target.host), RedisArgument(target.port), "", 0, 5000, "KEYS",
            ]
            try await self.nodes[source].send(RedisCommand(head + keys.map { RedisArgument($0) }))
        }
    }

    /// Gives a slot to its new server for good.
    package func endMove(of slot: Int, to target: Int) async throws {
        let targetID = try await self.nodes[target].send(["CLUSTER", "MYID"]).string ?? ""
        // The new owner first, so that the slot always has an owner.
        let newOwner = self.nodes[target]
        for node in [newOwner] + self.nodes.filter({ $0 !== newOwner }) {
            try await node.send(Self.setSlot(slot, "NODE", targetID))
        }
    }

    private static func setSlot(_ slot: Int, _ state: RedisArgument, _ id: String) -> RedisCommand {
        ["CLUSTER", "SETSLOT", RedisArgument(slot), state, RedisArgument(id)]
    }
}
