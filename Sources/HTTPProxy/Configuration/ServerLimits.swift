/// How much, and how long.
package struct ServerLimits: Hashable, Sendable {
    /// How many connections clients may have at a time; one more waits to be accepted.
    package var maxConnections = 10_000

    /// The largest head, in bytes of its target and fields.
    package var maxHeaderSize = 64 * 1024
    package var maxHeaderCount = 256

    /// The largest head of a response, in bytes and in fields.
    package var maxResponseHeaderSize = 256 * 1024
    package var maxResponseHeaderCount = 1_000

    /// The largest body of a request, in bytes; `nil` for no limit.
    package var maxBodySize: Int?

    /// How long to wait for the head of a request, from the opening of the connection or the last response.
    package var idleTimeout = Duration.seconds(30)

    /// How long a client may send nothing of a body that is waited for, or take nothing of its response.
    package var gapTimeout = Duration.seconds(10)

    /// How fast a client has to send a body, in bytes per second over ``rateWindow``.
    package var minimumBodyRate = 256
    package var rateWindow = Duration.seconds(20)

    /// How long a body may be waited for in all.
    package var maxBodyTime = Duration.seconds(60 * 60)

    /// How many connections to the upstream there may be at a time.
    package var maxUpstreamConnections = 1_000

    /// How long a request waits for a connection to the upstream: to be made, its handshake included, or to be free.
    package var connectTimeout = Duration.seconds(5)

    /// How long the upstream may keep the proxy waiting: for taking more of a request, and for more of its response.
    package var upstreamTimeout = Duration.seconds(60)

    /// How long a connection to the upstream is kept for the next request.
    package var upstreamIdleTimeout = Duration.seconds(60)

    /// How long ago a connection may have been used, to count as seen alive by a request that must not be lost.
    package var seenAliveTime = Duration.seconds(1)

    /// How many requests one connection of HTTP/2 may have at a time.
    package var maxConcurrentStreams = 100

    package init(_ change: (inout ServerLimits) -> Void = { _ in }) {
        change(&self)
    }
}
