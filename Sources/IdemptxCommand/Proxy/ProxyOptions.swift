#if Proxy
import HTTPTypes
import IdemptxProxy

/// What settings say of the proxy, besides its rules, its limits and its store.
struct ProxyOptions: SettingTarget {
    var upstream: String?
    var upstreamCA: String?
    var upstreamInsecure = false
    var host = "127.0.0.1"
    var port = 8080
    var tlsCert: String?
    var tlsKey: String?
    var tlsMinVersion = TLSVersionChoice.tls12
    var hostHeader = HostHeaderRule.client
    var forwardedHeaders = ForwardedHeadersRule.replace
    var corsOrigins: [String] = []
    var corsCredentials = false
    var keepAcceptEncoding = false
    var scopeHeader: [HTTPField.Name]?
    var adminHost = "127.0.0.1"
    var adminPort: Int?
    var logRequests = false

    init() {}

    /// The configuration of the proxy.
    ///
    /// - Parameters:
    ///   - rules: Its rules.
    ///   - limits: Its limits.
    ///   - settings: What these options were read from.
    /// - Returns: The configuration.
    /// - Throws: An error if two of them contradict each other, or one is missing.
    func configuration(
        rules: ProxyRules, limits: ProxyLimits, readFrom settings: Settings
    ) throws(SettingError) -> ProxyConfiguration {
        var configuration = ProxyConfiguration(upstream: try self.upstream(readFrom: settings))
        configuration.rules = rules
        configuration.limits = limits
        configuration.host = self.host
        configuration.port = self.port
        configuration.certificate = try self.certificate(readFrom: settings)
        configuration.minimumTLSVersion = self.tlsMinVersion.version
        configuration.scopeHeaders = self.scopeHeader
        configuration.hostField = self.hostHeader.field
        configuration.forwardedFields = self.forwardedHeaders.fields
        configuration.corsOrigins = self.corsOrigins
        configuration.corsAllowsCredentials = self.corsCredentials
        configuration.keepsAcceptEncoding = self.keepAcceptEncoding
        configuration.logsRequests = self.logRequests
        return configuration
    }

    private func upstream(readFrom settings: Settings) throws(SettingError) -> Upstream {
        guard let upstream else {
            throw settings.error("upstream", "the address of the API is needed, such as http://localhost:3000.")
        }
        guard self.upstreamCA == nil || !self.upstreamInsecure else {
            throw settings.error("upstreamInsecure", "it contradicts --upstream-ca.")
        }
        let trust =
            self.upstreamInsecure ? Upstream.Trust.insecure : self.upstreamCA.map { .authority(path: $0) } ?? .system
        do {
            return try Upstream(upstream, trust: trust)
        } catch {
            throw settings.error("upstream", error.description)
        }
    }

    private func certificate(readFrom settings: Settings) throws(SettingError) -> ServerCertificate? {
        switch (self.tlsCert, self.tlsKey) {
        case (nil, nil): return nil
        case (let chain?, let key?): return ServerCertificate(chainPath: chain, keyPath: key)
        case (_?, nil): throw settings.error("tlsKey", "the certificate needs its key.")
        case (nil, _?): throw settings.error("tlsCert", "the key needs its certificate.")
        }
    }
}
#endif
