public import Idemptx
import Metrics
import Synchronization

/// Keeps records in Redis (6.2 or later) or Valkey: one truth for several processes on several machines.
///
/// ```swift
/// let store = try RedisStore(url: "redis://localhost")
/// ```
///
/// A claim and a replay are one native command, a completion is a short script; each is one round trip, and one step
/// inside the server, by the server's clock. The calls of concurrent tasks share a connection and leave together. Large
/// outcomes travel on a connection of their own. Waiters, in whatever process, are woken by a message; a lost one
/// costs them one more poll.
///
/// A claim under `refuse` or `recover` is not granted once its caller has given up, by the server's clock. Under `rerun`,
/// where such a claim costs no more than its lease, it can be.
///
/// What survives a crash of the server is up to its persistence and its replicas, and a server that evicts keys forgets
/// operations: see <doc:RunningRedis>.
public final class RedisStore: TransactionalStore {
    static let maximumRecordSize = 32 << 20

    /// What tells the servers and the prefix of the records from others.
    public let identity: StoreIdentity

    let executor: any RedisExecutor
    let names: RecordNames
    let configuration: RedisStoreConfiguration
    let evictingServers = Gauge(label: "idempotency.redis.evicting_servers")
    let clock = ServerClock()
    /// How long a call is waited for; `nil` if the executor does not say.
    let callTimeout: Duration?
    /// Whether `SET` takes `NX` with `GET`, which Redis 6.2 does not.
    let hasNativeClaim = Atomic(true)

    /// Creates a store over a client of your own.
    ///
    /// - Parameters:
    ///   - executor: Sends the commands.
    ///   - configuration: How records are named, and what is demanded of the servers.
    public convenience init(
        executor: any RedisExecutor,
        configuration: RedisStoreConfiguration = RedisStoreConfiguration()
    ) {
        let identity = StoreIdentity(name: "redis:\(UInt64.random(in: 0...UInt64.max))")
        self.init(executor: executor, configuration: configuration, identity: identity, callTimeout: nil)
    }

    init(
        executor: any RedisExecutor,
        configuration: RedisStoreConfiguration,
        identity: StoreIdentity,
        callTimeout: Duration?
    ) {
        self.identity = identity
        self.executor = executor
        self.names = RecordNames(prefix: configuration.keyPrefix)
        self.configuration = configuration
        self.callTimeout = callTimeout
    }

    /// Hints at changes made by any process.
    public func changes(of key: StorageKey) -> AsyncStream<Void> {
        self.executor.subscribe(to: String(decoding: self.names.channel(of: key), as: UTF8.self))
    }
}

// MARK: Settling

extension RedisStore {
    /// Moves the end of a claim's lease.
    public func renew(_ claim: borrowing Claim, lease: Duration) async throws -> Bool {
        let (key, owner, retention, fingerprint) = (claim.key, claim.owner, claim.retention, claim.fingerprint)
        let renewed = StoredRecord(
            IdempotencyRecord(
                fingerprint: fingerprint, owner: owner, attempt: 1, created: .zero,
                expires: retention.expiry(lease: lease, now: .zero),
                state: .claimed(leaseEnd: Timestamp.zero.advanced(by: lease))),
            now: .zero)
        let isIndexed = self.indexes(retention.onAbandoned)
        // Where the lease is that of the claim, the record stays as it is and only its expiry moves.
        let isRenewed = try await self.run(
            RecordScripts.renew, [self.names.key(of: key)] + self.index(isIndexed),
            [owner.bytes, renewed.span, .number(renewed.lifetime), isIndexed ? .number(renewed.lease) : .none]
        ).flag()
        if isRenewed, lease > .zero { return true }
        return try await self.take(key, priority: .settle) { record, now in
            RecordTransitions.renew(record, owner: owner, lease: lease, retention: retention, now: now)
        }
    }

    /// Stores how the operation ended.
    ///
    /// A record of more than 32 MiB is refused: half of what a connection takes at a time, sent or received.
    public func complete(_ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration) async throws -> Bool {
        let (key, owner, isIndexed) = (claim.key, claim.owner, self.indexes(claim.retention.onAbandoned))
        // The script puts the moment of the first claim in its place.
        let completed = StoredRecord(
            IdempotencyRecord(
                fingerprint: claim.fingerprint, owner: owner, attempt: claim.attempt, created: .zero,
                expires: Timestamp.zero.advanced(by: keyTTL), state: .completed(outcome)),
            now: .zero)
        try self.checkSize(completed)
        let outcomeKey = completed.detached == nil ? [] : [self.names.outcome(of: key)]
        var arguments: [[UInt8]] = [
            completed.bytes, .number(completed.lifetime), .text(try await self.executor.publishCommand()),
        ]
        if isIndexed || completed.detached != nil { arguments += [completed.detached ?? .none, .flag(isIndexed)] }
        let reply = try await self.run(
            RecordScripts.complete, [self.names.key(of: key)] + outcomeKey + self.index(isIndexed), arguments,
            followedBy: self.configuration.acknowledgement?.command)
        if try reply.flag() {
            try self.requireAcknowledgement(of: reply)
            return true
        }
        return try await self.take(key, priority: .settle) { record, now in
            RecordTransitions.complete(record, owner: owner, outcome: outcome, keyTTL: keyTTL, now: now)
        }
    }

    /// Frees the key, because nothing was done.
    public func release(_ claim: borrowing Claim) async throws -> Bool {
        let (key, owner, keyTTL) = (claim.key, claim.owner, claim.keyTTL)
        if claim.attempt == 1 {
            let isIndexed = self.indexes(claim.retention.onAbandoned)
            let isReleased = try await self.run(
                RecordScripts.release, [self.names.key(of: key)] + self.index(isIndexed),
                [
                    owner.bytes, .text(try await self.executor.publishCommand()), self.names.channel(of: key),
                    .flag(isIndexed),
                ]
            ).flag()
            if isReleased { return true }
        }
        return try await self.take(key, priority: .settle) { record, now in
            RecordTransitions.release(record, owner: owner, keyTTL: keyTTL, now: now)
        }
    }
}

// MARK: Parts

extension RedisStore {
    /// Whether a claim under this rule is in the index, so that its outcome is found when it stays unknown.
    ///
    /// In a cluster it is not: an index has a slot, and a script can only change what is in the slot of its record.
    func indexes(_ rule: UnknownOutcomeRule.Kind) -> Bool {
        rule != .rerun && !self.executor.isCluster
    }

    func index(_ isNeeded: Bool) -> [[UInt8]] {
        isNeeded ? [self.names.unsettled] : []
    }

    func run(
        _ script: RedisScript,
        _ keys: [[UInt8]],
        _ arguments: [[UInt8]],
        followedBy command: RedisCommand? = nil
    ) async throws -> [RedisReply] {
        try await script.run(on: self.executor, keys: keys, arguments: arguments, followedBy: command)
    }

    func checkSize(_ record: StoredRecord) throws(StoreError) {
        let size = record.detached?.count ?? 0
        guard size <= Self.maximumRecordSize else {
            throw StoreError(.recordTooLarge, "A record of \(size) bytes is too large for Redis.")
        }
    }

    /// Fails closed: what too few replicas have may be forgotten by a failover.
    func requireAcknowledgement(of replies: [RedisReply]) throws(StoreError) {
        guard let demanded = self.configuration.acknowledgement?.replicas, replies.count > 1 else { return }
        guard case .integer(let count) = try replies[1].get() else { throw RedisReply.unexpected }
        guard count < demanded else { return }
        throw StoreError(.replyLost, "Only \(count) of \(demanded) replicas have acknowledged a write.")
    }
}

extension [RedisReply] {
    /// The reply of a script that returns a truth value.
    func flag() throws(StoreError) -> Bool {
        guard case .integer(let flag) = try self[0].get() else { throw RedisReply.unexpected }
        return flag == 1
    }
}

extension Timestamp {
    static let zero = Timestamp(milliseconds: 0)
}
