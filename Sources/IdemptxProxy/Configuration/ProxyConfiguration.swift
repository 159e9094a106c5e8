public import HTTPTypes

/// How a ``ReverseProxy`` works.
public struct ProxyConfiguration: Sendable {
    /// What the upstream is told about the name under which the client knows the proxy.
    public enum HostField: Hashable, Sendable {
        /// `Host` passes as the client sent it, so that the upstream makes the right links and tells its virtual hosts
        /// apart, as if there were no proxy.
        case preserved
        /// `Host` is the upstream's own name. For an upstream that accepts no other.
        case upstream
    }

    /// What happens to `X-Forwarded-For`, `X-Forwarded-Host`, `X-Forwarded-Proto` and `Forwarded` (RFC 7239) of a client.
    public enum ForwardedFields: Hashable, Sendable {
        /// They are dropped, and those of the proxy take their place: nobody can pretend to come from elsewhere.
        case replaced
        /// They are believed, and the proxy adds to them. Only behind another proxy that sets them.
        case extended
    }

    /// The oldest version of TLS that clients may speak.
    public enum TLSVersion: Hashable, Sendable {
        case tls12
        case tls13
    }

    /// The server behind the proxy.
    public var upstream: Upstream

    /// The address to listen on.
    public var host = "127.0.0.1"

    /// The port to listen on; 0 for any that is free.
    public var port = 8080

    /// Makes the proxy speak HTTPS, with HTTP/2 and HTTP/1.1; `nil` for plain HTTP/1.1.
    public var certificate: ServerCertificate?

    /// The oldest version of TLS that clients may speak.
    ///
    /// Of TLS 1.2, only suites with forward secrecy are spoken.
    public var minimumTLSVersion = TLSVersion.tls12

    /// This proxy's name in `Via`: of its own for each instance, so that a request that comes round is found.
    let pseudonym = "idemptx-\(UInt32.random(in: 0...UInt32.max))"

    /// By which rules each request is made idempotent.
    public var rules = ProxyRules()

    /// The header fields that tell one caller from another; see `Scope.headers(_:in:)`.
    ///
    /// `nil`, the default, takes the credentials of a request, and refuses what has none that could tell its caller; see `Scope.credentials(in:)`.
    ///
    /// Without a name, all callers share their keys, and one that guesses another's key gets its response.
    public var scopeHeaders: [HTTPField.Name]?

    /// What the upstream gets as `Host`.
    public var hostField = HostField.preserved

    /// What happens to what a client says about where its request came from.
    public var forwardedFields = ForwardedFields.replaced

    /// The origins whose pages may read responses, such as `https://shop.example`; see the Fetch standard for CORS.
    ///
    /// With the empty list, the default, everything passes as the upstream says. Otherwise the proxy decides instead of the upstream:
    /// preflights of these origins get their response from the proxy, every response to them, also a replay or a problem,
    /// names the origin that asked and lets its pages read all fields, and what the upstream says about CORS is dropped. To
    /// other origins nothing is said.
    public var corsOrigins: [String] = []

    /// Whether pages of ``corsOrigins`` may send cookies: they act with the session of whoever looks at them.
    public var corsAllowsCredentials = false

    /// Whether a guarded request reaches the upstream with the `Accept-Encoding` of its client.
    ///
    /// By default it does not, so that what is stored can be read by every client that retries.
    public var keepsAcceptEncoding = false

    /// How much, and how long.
    public var limits = ProxyLimits()

    /// Whether each response is logged at level `info`: address of the client, method, path, status, size of the body and
    /// duration; never a query, a header value, a key or a body.
    public var logsRequests = false

    /// The default configuration, changed as you like.
    ///
    /// - Parameters:
    ///   - upstream: The server behind the proxy.
    ///   - change: Sets what differs from the defaults.
    public init(upstream: Upstream, _ change: (inout ProxyConfiguration) -> Void = { _ in }) {
        self.upstream = upstream
        change(&self)
    }

    func check() throws(InvalidProxyConfiguration) {
        try self.limits.check()
        _ = try CrossOriginRule(self)
        guard (0...65535).contains(self.port) else {
            throw InvalidProxyConfiguration("The port to listen on must be between 0 and 65535.")
        }
    }
}
