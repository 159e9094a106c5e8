/// How much, and how long.
///
/// Durations that are too short for the upstream turn its slow answers into 504s, which are kept like any other answer:
/// choose them with room.
public struct ProxyLimits: Hashable, Sendable {
    /// How many connections clients may have at a time; one more waits to be accepted.
    public var maxConnections = 10_000

    /// The largest head of a request, in bytes of its target and header fields; a larger one is answered 431.
    ///
    /// Over HTTP/2, it is 16 KiB in any case, and a larger one ends the connection.
    public var maxHeaderSize = 64 * 1024

    /// How many header fields a request may have; one more is answered 431.
    public var maxHeaderCount = 256

    /// The largest request body, in bytes; a larger one is answered 413.
    ///
    /// `nil` for no limit. Guarded requests have a limit of their own besides: `IdempotencyPolicy.maxRequestBody`.
    public var maxBodySize: Int?

    /// How long the proxy waits for a client: for the head of a request, from the opening of the connection or the last
    /// answer; and for a client that takes nothing of its answer.
    public var idleTimeout = Duration.seconds(30)

    /// How fast a client has to send the body of a request, in bytes per second.
    ///
    /// Only time counts in which the proxy waits for the client. Beyond what this rate permits, a body may take
    /// ``idleTimeout`` in all. A slower client is cut off, so that none can hold a connection for ever.
    public var minimumBodyRate = 256

    /// How many connections to the upstream there may be at a time; one more request waits for ``connectTimeout``.
    public var maxUpstreamConnections = 1_000

    /// How long a request waits for a connection to the upstream: to be made, or to be free.
    public var connectTimeout = Duration.seconds(5)

    /// How long the upstream may keep the proxy waiting: for taking more of a request, for the head of its answer, and for
    /// each further piece of it.
    public var upstreamTimeout = Duration.seconds(60)

    /// How long a connection to the upstream is kept for the next request.
    ///
    /// A server closes a connection that has been idle for some time, and a request that is being sent at that moment is
    /// lost, without anybody knowing whether it ran. So this has to be shorter than the patience of the upstream. The
    /// least patient servers in use wait for 2 seconds (gunicorn) or 5 (Node.js, uvicorn, Apache).
    public var upstreamIdleTime = Duration.seconds(1)

    /// How long a shutdown waits for requests that are being answered.
    ///
    /// Those that are still waiting for the upstream then are answered 502, and that is stored.
    public var drainTimeout = Duration.seconds(30)

    /// The default limits, changed as you like.
    ///
    /// - Parameter change: Sets what differs from the defaults.
    public init(_ change: (inout ProxyLimits) -> Void = { _ in }) {
        change(&self)
    }

    func check() throws(InvalidProxyConfiguration) {
        let sizes = [
            self.maxConnections, self.maxHeaderSize, self.maxHeaderCount, self.maxBodySize ?? 1, self.minimumBodyRate,
            self.maxUpstreamConnections,
        ]
        let durations = [
            self.idleTimeout, self.connectTimeout, self.upstreamTimeout, self.upstreamIdleTime,
        ]
        guard sizes.allSatisfy({ $0 > 0 }), durations.allSatisfy({ $0 > .zero }), self.drainTimeout >= .zero else {
            throw InvalidProxyConfiguration("Every limit of the proxy must be positive.")
        }
    }
}
