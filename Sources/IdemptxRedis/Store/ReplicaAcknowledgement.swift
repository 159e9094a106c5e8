import Idemptx

/// How many replicas have to have a write before it counts (Redis' `WAIT`).
///
/// It narrows the window in which a failover forgets what was acknowledged; it does not close it. If too few reply in
/// time, a claim is refused, and a completion tried again, then reported as not stored.
public struct ReplicaAcknowledgement: Hashable, Sendable {
    /// How many replicas.
    public var replicas: Int

    /// For how long to wait for them.
    ///
    /// Claims and completions that come in the meantime wait for their turn, and then together, so that one can take twice
    /// as long; let it be at most half of ``RedisConnectionConfiguration/commandTimeout``. Nothing else waits for them.
    public var timeout: Duration

    /// Creates a demand.
    ///
    /// - Parameters:
    ///   - replicas: How many replicas.
    ///   - timeout: For how long to wait for them.
    public init(replicas: Int, timeout: Duration = .milliseconds(500)) {
        self.replicas = replicas
        self.timeout = timeout
    }

    var command: RedisCommand {
        RedisCommand("WAIT", "\(self.replicas)", "\(max(1, self.timeout.wholeMilliseconds))")
    }
}
