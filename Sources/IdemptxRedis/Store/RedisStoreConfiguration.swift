/// How a ``RedisStore`` names its records, and what it demands of its servers.
public struct RedisStoreConfiguration: Sendable {
    /// What the names of all records start with.
    ///
    /// Without braces: a cluster would read a hash tag in them.
    public var keyPrefix: String

    /// How many replicas have to acknowledge a claim and a completion; `nil` for none.
    public var acknowledgement: ReplicaAcknowledgement?

    /// Whether ``RedisStore/run()`` and ``RedisStore/verify()`` fail if a server may evict records.
    ///
    /// Otherwise that is logged as a warning, and counted by the metric `idempotency.redis.evicting_servers`.
    public var requireNoEviction: Bool

    /// Creates a configuration.
    ///
    /// - Parameters:
    ///   - keyPrefix: What the names of all records start with.
    ///   - acknowledgement: How many replicas have to acknowledge a claim and a completion.
    ///   - requireNoEviction: Whether a server that may evict records is an error.
    public init(
        keyPrefix: String = "idemptx:",
        acknowledgement: ReplicaAcknowledgement? = nil,
        requireNoEviction: Bool = false
    ) {
        precondition(
            !keyPrefix.utf8.contains(where: "{}".utf8.contains), "RedisStoreConfiguration.keyPrefix must have no braces"
        )
        self.keyPrefix = keyPrefix
        self.acknowledgement = acknowledgement
        self.requireNoEviction = requireNoEviction
    }
}
