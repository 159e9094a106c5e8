import HTTPProxy

/// How much, and how long.
public struct ProxyLimits: Hashable, Sendable {
    /// How many connections clients may have at a time; one more waits to be accepted.
    public var maxConnections = 10_000

    /// The largest head, in bytes of its target and header fields.
    ///
    /// A request with a larger one gets 431. Instead of a response with a larger one, or with more than 1,000 fields, the
    /// client gets 502; a guarded request counts as done then, and retries are told that its response was not kept.
    public var maxHeaderSize = 64 * 1024

    /// How many header fields a request may have; one more gets 431.
    public var maxHeaderCount = 256

    /// The largest request body, in bytes; a larger one gets 413.
    ///
    /// `nil` for no limit. Guarded requests have a limit of their own besides: `IdempotencyPolicy.maxRequestBody`.
    public var maxBodySize: Int?

    /// How long the proxy waits for the head of a request, from the opening of the connection or the last response.
    public var idleTimeout = Duration.seconds(30)

    /// How long a client may send nothing of a body that is waited for, or take nothing of its response.
    public var bodyGapTimeout = Duration.seconds(10)

    /// How fast a client has to send the body of a request, in bytes per second over 20 seconds.
    ///
    /// Only time counts in which the proxy waits for the client. The connection of a slower client is closed,
    /// however much it sent before.
    public var minimumBodyRate = 256

    /// How long the body of a request may be waited for in all.
    public var maxBodyTime = Duration.seconds(60 * 60)

    /// How many connections to the upstream there may be at a time; one more request waits for ``connectTimeout``.
    public var maxUpstreamConnections = 1_000

    /// How long a request waits for a connection to the upstream: to be made, its handshake included, or to be free.
    public var connectTimeout = Duration.seconds(5)

    /// How long the upstream may keep the proxy waiting: for taking more of a request, for the head of its response, and for
    /// each further piece of it.
    ///
    /// The client gets 504 then. A guarded request goes on: its response is waited for, and stored, as long as
    /// `IdempotencyPolicy.maxRunTime` says, or 10 minutes.
    public var upstreamTimeout = Duration.seconds(60)

    /// How long a connection to the upstream is kept for the next request.
    ///
    /// Before it is used, it is looked at, and one that the upstream has closed is not used. A guarded request takes only one
    /// that was in use within the last second, or a new one, so that it is not lost with a connection that is being closed.
    public var upstreamIdleTimeout = Duration.seconds(60)

    /// How long a shutdown waits for requests that are under way.
    ///
    /// Those that are still waiting for the upstream then get 502, and that is stored.
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
            self.idleTimeout, self.bodyGapTimeout, self.maxBodyTime, self.connectTimeout, self.upstreamTimeout,
            self.upstreamIdleTimeout,
        ]
        guard sizes.allSatisfy({ $0 > 0 }), durations.allSatisfy({ $0 > .zero }), self.drainTimeout >= .zero else {
            throw InvalidProxyConfiguration("Every limit of the proxy must be positive.")
        }
    }

    /// The limits as the engine has them.
    var ofServer: ServerLimits {
        ServerLimits { server in
            server.maxConnections = self.maxConnections
            server.maxHeaderSize = self.maxHeaderSize
            server.maxResponseHeaderSize = self.maxHeaderSize
            server.maxHeaderCount = self.maxHeaderCount
            server.maxBodySize = self.maxBodySize
            server.idleTimeout = self.idleTimeout
            server.gapTimeout = self.bodyGapTimeout
            server.minimumBodyRate = self.minimumBodyRate
            server.maxBodyTime = self.maxBodyTime
            server.maxUpstreamConnections = self.maxUpstreamConnections
            server.connectTimeout = self.connectTimeout
            server.upstreamTimeout = self.upstreamTimeout
            server.upstreamIdleTimeout = self.upstreamIdleTimeout
        }
    }
}
