#if Proxy
import Idemptx
import IdemptxProxy

/// All that `idemptx proxy` is told.
struct ProxySettings {
    let configuration: ProxyConfiguration
    let store: StoreSettings
    let adminHost: String
    /// The port of the server for the operator, if there is to be one.
    let adminPort: Int?
    /// All settings as they came out, in the form of a configuration file, without secrets.
    let shown: ConfigurationFile
    /// The places of those settings that go before what the file says.
    let overriding: [String]

    /// Reads the settings, of which `flags` were given on the command line, by their names.
    init(flags: [String: String?]) throws {
        try self.init(flags: flags, file: ConfigurationFile(namedIn: flags))
    }

    init(flags: [String: String?], file: ConfigurationFile) throws {
        var settings = try Settings(flags: flags, file: file)
        var shown = ConfigurationFile()

        let standard = try settings.read(RuleSection.settings).policy(readFrom: settings)
        var rules = ProxyRules(standard: standard)
        for (index, route) in file.routes.enumerated() {
            let (rule, values) = try Self.rule(route, index: index, in: file, settings)
            rules.routes.append(rule)
            shown.routes.append(values)
        }
        var options = try settings.read(NetworkSection.settings)
        try settings.read(OperatorSection.settings, into: &options)
        let limits = try settings.read(LimitSection.settings)
        self.store = try StoreSettings(&settings)
        self.configuration = try options.configuration(rules: rules, limits: limits, readFrom: settings)
        self.adminHost = options.adminHost
        self.adminPort = options.adminPort
        try Self.refuseUnknown(file.values, besides: settings.resolved, at: file.place(of: ""))

        shown.values = settings.resolved
        self.shown = shown
        self.overriding = settings.overriding
    }

    private static func rule(
        _ route: [String: FileValue], index: Int, in file: ConfigurationFile, _ settings: Settings
    ) throws -> (RouteRule, shown: [String: FileValue]) {
        var settings = settings.overridden(byRoute: index)
        guard let text = route["path"]?.text else { throw settings.error("path", "it is missing.") }
        let pattern: PathPattern
        do {
            pattern = try PathPattern(text)
        } catch {
            throw settings.error("path", error.description)
        }
        let policy = try settings.read(RuleSection.settings).policy(readFrom: settings)
        var shown = settings.resolved
        shown["path"] = .text(pattern.description)
        try Self.refuseUnknown(route, besides: shown, at: file.place(of: "routes[\(index)]."))
        return (RouteRule(path: pattern, policy: policy), shown)
    }

    /// A misspelt setting must not pass for one that is not set.
    private static func refuseUnknown(
        _ values: [String: FileValue], besides known: [String: FileValue], at place: String
    ) throws(CommandError) {
        guard let name = values.keys.sorted().first(where: { known[$0] == nil }) else { return }
        let suggestion = Spelling.suggestion(for: name, among: known.keys)
        throw CommandError("\(place)\(name): there is no such setting.\(suggestion)")
    }
}
#endif
