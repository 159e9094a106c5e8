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
            configuration file again: the rules change at once, addresses, limits and the store with the next start.
            """
    )

    @OptionGroup(title: "What is in front of what") var network: NetworkOptions
    @OptionGroup(title: "Rules, which the file can also set for some paths") var rules: RuleOptions
    @OptionGroup(title: "Limits") var limits: LimitOptions

    @Option(help: "Where idempotency records are kept. (default: sqlite:idemptx.sqlite)")
    var store: String?

    @Option(help: "A header by which callers are told apart; can be repeated. (default: the credentials)")
    var scopeHeader: [String] = []

    @Option(help: "The port of a server with /healthz, /readyz and /metrics.")
    var adminPort: String?

    @Option(help: "The address of that server. (default: 127.0.0.1)")
    var adminHost: String?

    @Flag(inversion: .prefixedNo, help: "Logs method, path, status and duration of each request.")
    var logRequests: Bool?

    @Option(help: "A JSON file of settings, and of rules for some paths.", completion: .file())
    var config: String?

    @Flag(
        help: "Prints the settings as they came out, without passwords, in the form of a configuration file, and ends.")
    var printConfig = false

    func run() async throws {
        let settings = try ProxySettings(flags: self.flags)
        if self.printConfig {
            try Output.write(json: settings.shown)
        } else {
            try await ProxyServer(settings: settings, flags: self.flags, logger: Logger(label: "idemptx")).run()
        }
    }

    private var flags: [String: String?] {
        [
            "store": self.store, "scopeHeader": self.scopeHeader.commaSeparated, "adminPort": self.adminPort,
            "adminHost": self.adminHost, "logRequests": self.logRequests?.description, "config": self.config,
        ]
        .merging(self.network.flags) { $1 }
        .merging(self.rules.flags) { $1 }
        .merging(self.limits.flags) { $1 }
    }
}
#endif
