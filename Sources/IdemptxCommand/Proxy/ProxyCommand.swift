#if Proxy
import ArgumentParser
import Logging

/// `idemptx proxy`: makes an API behind it safe to retry.
struct ProxyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proxy",
        abstract: "Makes an HTTP API safe to retry, without a change to it.",
        discussion: """
            Every option can be given in the environment as well, such as IDEMPTX_KEY_TTL for --key-ttl, and in a \
            configuration file, such as "keyTTL". A flag goes before the environment, and that before the file.

            \(SettingForms.durations) \(SettingForms.sizes) \(SettingForms.stores)

            SIGTERM ends the proxy once the requests under way have their responses and these are stored. SIGHUP makes it read the \
            configuration file and its certificate again: the rules change at once, addresses, limits and the store with the next \
            start.
            """
    )

    @OptionGroup(title: NetworkSection.title) var network: SettingFlags<NetworkSection>
    @OptionGroup(title: RuleSection.title) var rules: SettingFlags<RuleSection>
    @OptionGroup(title: LimitSection.title) var limits: SettingFlags<LimitSection>
    @OptionGroup(title: StoreSection.title) var store: SettingFlags<StoreSection>
    @OptionGroup(title: OperatorSection.title) var operation: SettingFlags<OperatorSection>

    @Option(help: "A JSON file of settings, and of rules for some paths.", completion: .file())
    var config: String?

    @Flag(
        help: "Prints the settings as they came out, without passwords, in the form of a configuration file, and ends.")
    var printConfig = false

    @Flag(help: ArgumentHelp("Prints the page of the documentation about all settings, and ends.", visibility: .hidden))
    var printSettingsPage = false

    func run() async throws {
        if self.printSettingsPage { return try Output.write(SettingsPage.text) }
        let settings = try ProxySettings(flags: self.flags)
        if self.printConfig {
            try Output.write(json: settings.shown)
        } else {
            try await RunningProxy(settings: settings, flags: self.flags, logger: Logger(label: "idemptx")).run()
        }
    }

    private var flags: [String: String?] {
        [self.network.values, self.rules.values, self.limits.values, self.store.values, self.operation.values]
            .reduce(into: ["config": self.config]) { $0.merge($1.mapValues(Optional.some)) { $1 } }
    }
}
#endif
