#if Proxy
import ArgumentParser

/// Where the proxy listens, and its upstream.
struct NetworkOptions: ParsableArguments {
    @Option(help: "The API: http://HOST:PORT, https://HOST:PORT or unix:/PATH.")
    var upstream: String?

    @Option(help: "The address to listen on. (default: 127.0.0.1)")
    var host: String?

    @Option(help: "The port to listen on; 0 for any that is free. (default: 8080)")
    var port: String?

    @Option(
        help: "The proxy's certificate, in PEM format, followed by those that signed it: makes it speak HTTPS.",
        completion: .file())
    var tlsCert: String?

    @Option(help: "The key of that certificate, in PEM format.", completion: .file())
    var tlsKey: String?

    @Option(
        help: "The certificate of the authority that signed the API's, in PEM format. (default: the system's)",
        completion: .file())
    var upstreamCA: String?

    @Flag(inversion: .prefixedNo, help: "Believes any certificate of the API.")
    var upstreamInsecure: Bool?

    @Option(
        help: "Whose Host header the API gets: client or upstream. (default: client)",
        completion: HostHeaderRule.completion)
    var hostHeader: String?

    @Option(
        help: "Whether Forwarded and X-Forwarded headers of clients are replaced or extended. (default: replace)",
        completion: ForwardedHeadersRule.completion)
    var forwardedHeaders: String?

    var flags: [String: String?] {
        [
            "upstream": self.upstream, "host": self.host, "port": self.port, "tlsCert": self.tlsCert,
            "tlsKey": self.tlsKey, "upstreamCA": self.upstreamCA,
            "upstreamInsecure": self.upstreamInsecure?.description, "hostHeader": self.hostHeader,
            "forwardedHeaders": self.forwardedHeaders,
        ]
    }
}
#endif
