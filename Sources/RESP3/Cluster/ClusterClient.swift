import NIOCore

/// A client of a cluster.
///
/// A command goes to the server of its key's slot. Where a server replies that it did not execute it, the command is
/// repeated at the right place or after a pause, a bounded number of times.
final class ClusterClient: RedisClient {
    let commandTimeout: Duration
    private let topology: ClusterTopology
    private let subscriptions: Subscriptions
    private let backoff: Backoff

    init(_ seeds: [NodeAddress], _ factory: NodeFactory) {
        let topology = ClusterTopology(seeds, factory)
        let timeout = factory.configuration.commandTimeout
        self.commandTimeout = timeout
        self.topology = topology
        self.backoff = factory.configuration.backoff
        self.subscriptions = Subscriptions(
            factory.configuration,
            repair: { _ = try? await topology.refresh(deadline: .now() + TimeAmount(timeout)) },
            route: { topology.route(of: $0) })
    }

    func send(
        _ commands: [RedisCommand], key: RedisArgument?, deadline: NIODeadline
    ) async throws(RedisError) -> [RESPValue] {
        let slot = key.map { HashSlot(key: $0.bytes) }
        var repetition = Repetition(self.backoff, deadline: deadline)
        var target: NodeAddress?
        while true {
            let attempt = try await self.attempt(commands, slot, target, deadline)
            guard let obstacle = attempt.obstacle else { return try attempt.result.get() }
            target = try await self.react(to: obstacle, deadline)
            guard try await repetition.next(pausing: obstacle.needsTime) else { return try attempt.result.get() }
        }
    }

    func primaries(deadline: NIODeadline) async throws(RedisError) -> [any RedisPrimary] {
        var nodes: [any RedisPrimary] = []
        for address in try await self.topology.map(deadline: deadline).primaries {
            nodes.append(try self.topology.node(at: address))
        }
        return nodes
    }

    func publishCommand(deadline: NIODeadline) async throws(RedisError) -> String {
        try await self.topology.map(deadline: deadline).hasShardedChannels ? "SPUBLISH" : "PUBLISH"
    }

    func subscribe(to channel: String) -> AsyncStream<Void> {
        self.subscriptions.subscribe(to: channel)
    }

    func close() async {
        self.subscriptions.close()
        await self.topology.close()
    }
}

extension ClusterClient {
    /// Why a command has to be tried again.
    private enum Obstacle {
        case redirect(ClusterRedirect)
        /// The server could not be reached, so that nothing was sent.
        case unreachable

        /// Whether trying again at once would meet it again.
        var needsTime: Bool {
            switch self {
            case .redirect(.moved), .redirect(.ask): false
            case .redirect, .unreachable: true
            }
        }
    }

    private struct Attempt {
        let result: Result<[RESPValue], RedisError>
        /// `nil` if the result is final.
        let obstacle: Obstacle?
    }

    /// Sends the commands once: to the server that was named for them, or else to that of the slot.
    private func attempt(
        _ commands: [RedisCommand], _ slot: HashSlot?, _ target: NodeAddress?, _ deadline: NIODeadline
    ) async throws(RedisError) -> Attempt {
        let address =
            if let target { target } else { try await self.topology.address(of: slot, deadline: deadline) }
        let node = try self.topology.node(at: address)
        do throws(RedisError) {
            // A server that a slot is being moved to serves its keys to those who say that they were sent.
            let preface: [RedisCommand] = target == nil ? [] : [["ASKING"]]
            let replies = Array(try await node.send(preface + commands, deadline: deadline).dropFirst(preface.count))
            let redirect = replies.first?.serverError.flatMap { ClusterRedirect($0, from: address) }
            return Attempt(result: .success(replies), obstacle: redirect.map { .redirect($0) })
        } catch .notSent(let sentence) {
            return Attempt(result: .failure(.notSent(sentence)), obstacle: .unreachable)
        } catch {
            // The next command must not go to a server that may be gone.
            if error.mayHaveRun, error != .cancelled { self.topology.refreshSoon() }
            throw error
        }
    }

    /// - Returns: The server to ask, if it is not that of the slot.
    private func react(to obstacle: Obstacle, _ deadline: NIODeadline) async throws(RedisError) -> NodeAddress? {
        switch obstacle {
        case .redirect(.ask(let address)): return address
        case .redirect(.tryAgain): break
        case .redirect(.moved(let slot, let address)):
            self.topology.move(slot, to: address)
            self.topology.refreshSoon()
        case .redirect(.down), .unreachable:
            // If no server replies, the next attempt uses the old map.
            do throws(RedisError) { try await self.topology.refresh(deadline: deadline) } catch .cancelled {
                throw .cancelled
            } catch {}
        }
        return nil
    }
}
