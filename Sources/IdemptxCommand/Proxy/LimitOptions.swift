#if Proxy
import ArgumentParser

/// How much, and how long.
struct LimitOptions: ParsableArguments {
    @Option(help: "How long the API may keep a request waiting. (default: 60s)")
    var upstreamTimeout: String?

    @Option(help: "How long a request waits for a connection to the API. (default: 5s)")
    var connectTimeout: String?

    @Option(help: "How long the proxy waits for a client. (default: 30s)")
    var idleTimeout: String?

    @Option(help: "How long the end of the proxy waits for requests under way. (default: 30s)")
    var drainTimeout: String?

    @Option(help: "How many clients may be connected at a time. (default: 10000)")
    var maxConnections: String?

    @Option(help: "The largest head of a request. (default: 64KiB)")
    var maxHeaderSize: String?

    @Option(help: "The largest body of any request. (default: none)")
    var maxBodySize: String?

    var flags: [String: String?] {
        [
            "upstreamTimeout": self.upstreamTimeout, "connectTimeout": self.connectTimeout,
            "idleTimeout": self.idleTimeout, "drainTimeout": self.drainTimeout, "maxConnections": self.maxConnections,
            "maxHeaderSize": self.maxHeaderSize, "maxBodySize": self.maxBodySize,
        ]
    }
}
#endif
