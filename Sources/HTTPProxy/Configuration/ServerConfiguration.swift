package import NIOSSL

/// How a ``ProxyServer`` works.
package struct ServerConfiguration: Sendable {
    /// Where requests go.
    package struct Upstream: Sendable {
        package enum Address: Hashable, Sendable {
            case host(String, port: Int)
            case unixSocket(path: String)
        }

        package var address: Address
        /// The upstream's own name, as `Host` has it.
        package var authority: String
        /// Makes the proxy speak TLS to the upstream.
        package var tls: NIOSSLContext?

        package init(_ address: Address, authority: String, tls: NIOSSLContext? = nil) {
            self.address = address
            self.authority = authority
            self.tls = tls
        }
    }

    package var host = "127.0.0.1"
    /// 0 for any port that is free.
    package var port = 0
    /// Makes the proxy speak HTTPS, with HTTP/2 and HTTP/1.1; called for each connection, so that it can change.
    package var tls: (@Sendable () -> NIOSSLContext)?
    package var upstream: Upstream
    package var rewriting: HeadRewriting
    package var limits = ServerLimits()
    /// Limits the memory that request bodies take together; a request beyond it gets 503.
    package var bodies = BodyBudget(limit: 256 << 20)

    package init(upstream: Upstream, rewriting: HeadRewriting, _ change: (inout ServerConfiguration) -> Void = { _ in })
    {
        self.upstream = upstream
        self.rewriting = rewriting
        change(&self)
    }
}
