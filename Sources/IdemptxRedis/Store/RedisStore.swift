public import Idemptx
import Metrics

/// Keeps records in Redis (6.2 or later) or Valkey: one truth for several processes on several machines.
///
/// ```swift
/// let store = try RedisStore(url: "redis://localhost")
/// ```
///
/// Each call is one script that runs in one step inside the server, by the server's clock, and costs one round trip. The
/// calls of concurrent tasks share a connection and leave together. Those who wait, in whatever process, are woken by a
/// message; one that gets lost costs them one more question.
///
/// What survives a crash of the server is up to its persistence and its replicas, and a server that evicts keys forgets
/// operations: see <doc:RunningRedis>.
public final class RedisStore: IdempotencyStore {
    private static let maximumRecordSize = 32 << 20

    let executor: any RedisExecutor
    let names: RecordNames
    let configuration: RedisStoreConfiguration
    let evictingServers = Gauge(label: "idempotency.redis.evicting_servers")

    /// Creates a store over a client of your own.
    ///
    /// - Parameters:
    ///   - executor: Sends the commands.
    ///   - configuration: How records are named, and what is demanded of the servers.
    public init(executor: any RedisExecutor, configuration: RedisStoreConfiguration = RedisStoreConfiguration()) {
        self.executor = executor
        self.names = RecordNames(prefix: configuration.keyPrefix)
        self.configuration = configuration
    }

    /// Asks to run an operation.
    public func claim(_ request: ClaimRequest) async throws -> Admission {
        let template = [UInt8].template(
            .claimed(leaseEnd: .zero), owner: request.owner, fingerprint: request.fingerprint)
        let reply = try await self.run(
            RecordScripts.claim, for: request.key,
            [
                template, .flag(request.comparesFingerprint), .duration(request.lease), .duration(request.keyTTL),
                .text(request.onAbandoned.rawValue),
            ],
            followedBy: self.configuration.acknowledgement?.command)
        let decision = try reply.claimDecision()
        if case .execute = decision { try self.requireAcknowledgement(of: reply) }
        return Admission(decision, for: request)
    }

    /// Moves the end of a claim's lease.
    public func renew(_ claim: borrowing Claim, lease: Duration) async throws -> Bool {
        let arguments: [[UInt8]] = [claim.owner.bytes, .duration(lease), .duration(claim.keyTTL)]
        return try await self.run(RecordScripts.renew, for: claim.key, arguments).flag()
    }

    /// Stores how the operation ended.
    ///
    /// A record of more than 32 MiB is refused: half of what a connection takes at a time, sent or received.
    public func complete(_ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration) async throws -> Bool {
        let (key, owner) = (claim.key, claim.owner)
        let template = [UInt8].template(.completed(outcome), owner: owner)
        guard template.count <= Self.maximumRecordSize else {
            throw StoreError(.recordTooLarge, "A record of \(template.count) bytes is too large for Redis.")
        }
        let reply = try await self.run(
            RecordScripts.complete, for: key,
            [owner.bytes, template, .duration(keyTTL)] + self.publication(of: key),
            followedBy: self.configuration.acknowledgement?.command)
        guard try reply.flag() else { return false }
        try self.requireAcknowledgement(of: reply)
        return true
    }

    /// Gives the key back.
    public func release(_ claim: borrowing Claim) async throws -> Bool {
        let (key, owner) = (claim.key, claim.owner)
        return try await self.run(RecordScripts.release, for: key, [owner.bytes] + self.publication(of: key)).flag()
    }

    /// Hints at changes made by any process.
    public func changes(of key: StorageKey) -> AsyncStream<Void> {
        self.executor.subscribe(to: self.names.channel(of: key))
    }
}

extension RedisStore {
    func run(
        _ script: RedisScript,
        for key: StorageKey,
        _ arguments: [[UInt8]],
        followedBy command: RedisCommand? = nil
    ) async throws -> ScriptReply {
        try ScriptReply(
            await script.run(
                on: self.executor, key: self.names.key(of: key), arguments: arguments,
                followedBy: command.map { [$0] } ?? []))
    }

    /// The arguments by which a script hints at a change.
    func publication(of key: StorageKey) async throws -> [[UInt8]] {
        [.text(try await self.executor.publishCommand()), .text(self.names.channel(of: key))]
    }

    /// Fails closed: what too few replicas have may be forgotten by a failover.
    private func requireAcknowledgement(of reply: ScriptReply) throws(StoreError) {
        guard let demanded = self.configuration.acknowledgement?.replicas, let count = reply.acknowledgements,
            count < demanded
        else { return }
        throw StoreError(.outcomeUnknown, "Only \(count) of \(demanded) replicas have acknowledged a write.")
    }
}
