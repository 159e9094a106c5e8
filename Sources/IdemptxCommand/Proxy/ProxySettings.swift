import Idemptx
import IdemptxProxy

/// All that `idemptx proxy` is told.
struct ProxySettings {
    let configuration: ProxyConfiguration
    let store: StoreLocation
    let adminHost: String
    /// The port of the server for the operator, if there is to be one.
    let adminPort: Int?
    /// All settings as they came out, in the form of a configuration file, without secrets.
    let shown: ConfigurationFile
    /// The names of those settings that can change while the proxy runs, besides the rules for some paths.
    let ruleNames: Set<String>
    /// Where the settings of the file are made that something else goes before.
    let overriding: [String]

    /// Reads the settings, of which `flags` were given on the command line, by their names.
    init(flags: [String: String?]) throws {
        let file = try ConfigurationFile(namedIn: flags)
        var settings = Settings(flags: flags, file: file.values)

        let standard = try settings.policy(requiringKeys: false)
        self.ruleNames = Set(settings.resolved.keys)
        var routes: [(rule: RouteRule, shown: [String: FileValue])] = []
        for (index, part) in file.routes.enumerated() {
            routes.append(try Self.route(part, path: "routes[\(index)]", in: settings))
        }

        self.store = try settings.value("store", default: StoreLocation.standard)
        self.adminHost = try settings.value("adminHost", default: "127.0.0.1")
        self.adminPort = try settings.value("adminPort", as: Port.self)?.number
        self.configuration = try Self.configuration(
            &settings, rules: ProxyRules(routes: routes.map(\.rule), standard: standard))
        try Self.refuseUnknown(file.values, besides: settings.resolved, in: "")

        var shown = ConfigurationFile()
        shown.values = settings.resolved
        shown.routes = routes.map(\.shown)
        self.shown = shown
        self.overriding = file.values.keys.sorted().compactMap { name in
            settings.place(of: name).flatMap { $0 == name ? nil : $0 }
        }
    }

    private static func configuration(
        _ settings: inout Settings,
        rules: ProxyRules
    ) throws -> ProxyConfiguration {
        var configuration = ProxyConfiguration(upstream: try Self.upstream(&settings))
        configuration.rules = rules
        configuration.host = try settings.value("host", default: configuration.host)
        configuration.port = try settings.value("port", default: Port.standard).number
        configuration.certificate = try Self.certificate(&settings)
        configuration.scopeHeaders = try settings.value("scopeHeader", as: HeaderNameList.self)?.names
        configuration.hostField = try settings.value("hostHeader", default: HostHeaderRule.client).field
        configuration.forwardedFields =
            try settings.value("forwardedHeaders", default: ForwardedHeadersRule.replace).fields
        configuration.logsRequests = try settings.value("logRequests", default: configuration.logsRequests)
        configuration.limits = try Self.limits(&settings)
        return configuration
    }

    private static func upstream(_ settings: inout Settings) throws -> Upstream {
        let authority = try settings.value("upstreamCA", as: String.self)
        let isInsecure = try settings.value("upstreamInsecure", default: false)
        guard let address = try settings.value("upstream", as: String.self) else {
            throw settings.error("upstream", "the address of the API is needed, such as http://localhost:3000.")
        }
        guard authority == nil || !isInsecure else {
            throw settings.error("upstreamInsecure", "it contradicts --upstream-ca.")
        }
        let trust = isInsecure ? Upstream.Trust.insecure : authority.map { .authority(path: $0) } ?? .system
        do {
            return try Upstream(address, trust: trust)
        } catch {
            throw settings.error("upstream", error.description)
        }
    }

    private static func certificate(_ settings: inout Settings) throws(SettingError) -> ServerCertificate? {
        let chain = try settings.value("tlsCert", as: String.self)
        let key = try settings.value("tlsKey", as: String.self)
        switch (chain, key) {
        case (nil, nil): return nil
        case (let chain?, let key?): return ServerCertificate(chainPath: chain, keyPath: key)
        case (_?, nil): throw settings.error("tlsKey", "the certificate needs its key.")
        case (nil, _?): throw settings.error("tlsCert", "the key needs its certificate.")
        }
    }

    private static func limits(_ settings: inout Settings) throws(SettingError) -> ProxyLimits {
        var limits = ProxyLimits()
        limits.maxConnections = try settings.value("maxConnections", default: PositiveInt(limits.maxConnections)).number
        limits.maxHeaderSize = try settings.value("maxHeaderSize", default: PositiveByteSize(limits.maxHeaderSize))
            .bytes
        limits.maxBodySize = try settings.value("maxBodySize", as: PositiveByteSize.self)?.bytes
        limits.idleTimeout = try settings.value("idleTimeout", default: PositiveDuration(limits.idleTimeout)).duration
        limits.connectTimeout =
            try settings.value("connectTimeout", default: PositiveDuration(limits.connectTimeout)).duration
        limits.upstreamTimeout =
            try settings.value("upstreamTimeout", default: PositiveDuration(limits.upstreamTimeout)).duration
        limits.drainTimeout = try settings.value("drainTimeout", default: limits.drainTimeout)
        return limits
    }

    private static func route(
        _ part: [String: FileValue],
        path: String,
        in settings: Settings
    ) throws -> (RouteRule, shown: [String: FileValue]) {
        var settings = settings.overridden(by: part, path: path)
        guard let text = part["path"]?.text else { throw settings.error("path", "it is missing.") }
        let pattern: PathPattern
        do {
            pattern = try PathPattern(text)
        } catch {
            throw settings.error("path", error.description)
        }
        let policy = try settings.policy(requiringKeys: false)
        var shown = settings.resolved
        shown["path"] = .text(pattern.description)
        try Self.refuseUnknown(part, besides: shown, in: path + ".")
        return (RouteRule(path: pattern, policy: policy), shown)
    }

    /// A misspelt setting must not pass for one that is not set.
    private static func refuseUnknown(
        _ values: [String: FileValue],
        besides known: [String: FileValue],
        in path: String
    ) throws(CommandError) {
        guard let name = values.keys.sorted().first(where: { known[$0] == nil }) else { return }
        throw CommandError("--config: there is no setting '\(path)\(name)'.")
    }
}
