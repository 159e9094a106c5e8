import ArgumentParser
import Idemptx

/// `idemptx demo`: a small payments API to try retries on.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Runs a small payments API and prints curl lines to paste.",
        discussion: """
            Every option can be given in the environment as well, such as IDEMPTX_KEY_TTL for --key-ttl.

            \(SettingForms.durations) \(SettingForms.stores)
            """
    )

    @Option(help: "The address to listen on. (default: 127.0.0.1)")
    var host: String?

    @Option(help: "The port to listen on; 0 for any that is free. (default: 8080)")
    var port: String?

    @Option(help: "Where idempotency records are kept. (default: sqlite:idemptx.sqlite)")
    var store: String?

    @Option(
        help: """
            Where the demo's own charges are kept: an SQLite file. (default: beside records in PostgreSQL, or else \
            idemptx-ledger.sqlite)
            """)
    var ledger: String?

    @Option(help: "How long responses are kept. (default: 24h)")
    var keyTTL: String?

    @Option(help: "After which time without a sign of life the outcome of a charge is unknown. (default: 30s)")
    var lease: String?

    @Option(help: "How long a request waits for another with its key. (default: 0s)")
    var waitTimeout: String?

    @Option(
        help: "What happens to a charge whose outcome is unknown: rerun or refuse. (default: rerun)",
        completion: .list(UnknownOutcomeChoice.words))
    var onAbandoned: String?

    @Flag(
        name: .customLong("same-transaction"), inversion: .prefixedNo,
        help: """
            Whether a charge and its record are committed together, in the database of the ledger. With it, no crash \
            leaves a charge that a retry repeats. (default: --no-same-transaction)
            """)
    var sameTransaction: Bool?

    func run() async throws {
        var settings = try Settings(flags: [
            "host": self.host, "port": self.port, "store": self.store, "ledger": self.ledger,
            "keyTTL": self.keyTTL, "lease": self.lease, "waitTimeout": self.waitTimeout,
            "onAbandoned": self.onAbandoned, "sameTransaction": self.sameTransaction?.description,
        ])
        let host = try settings.value("host", default: "127.0.0.1")
        let port = try settings.value("port", default: Port.standard).content
        var rules = RuleSettings()
        rules.policy.required = true
        try settings.read(RuleSection.settings, into: &rules)
        let policy = try rules.policy(readFrom: settings)
        let backend = try await DemoBackend(&settings)
        let idempotency = Idempotency(store: backend.store, policy: policy)
        try await DemoServer(
            address: HostPort(host: host, port: port), router: backend.router(idempotency), store: backend.store,
            policy: policy, isJoined: backend.isJoined
        ).run()
    }
}
