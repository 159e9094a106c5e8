import IdemptxProxy
import Logging
import ServiceLifecycle
import UnixSignals

/// Reads the configuration file again whenever the process gets `SIGHUP`.
struct RulesReloader: Service {
    let proxy: ReverseProxy
    let settings: ProxySettings
    let flags: [String: String?]
    let signals: UnixSignalsSequence
    let logger: Logger

    func run() async throws {
        for await _ in self.signals.cancelOnGracefulShutdown() {
            self.reload()
        }
    }

    /// A file that cannot be used leaves everything as it is.
    private func reload() {
        do {
            let settings = try ProxySettings(flags: self.flags)
            self.proxy.replaceRules(with: settings.configuration.rules)
            self.logger.info("The rules have been read again", metadata: self.metadata(of: settings))
        } catch {
            self.logger.error("The rules stay as they are: \(error)")
        }
    }

    /// What of the file is not in force.
    private func metadata(of new: ProxySettings) -> Logger.Metadata {
        var waiting = Set(new.shown.values.keys.filter { self.settings.shown.values[$0] != new.shown.values[$0] })
        // A changed password does not show.
        if new.store != self.settings.store { waiting.insert("store") }
        waiting.subtract(self.settings.ruleNames)
        let lists = ["idemptx.needs_restart": waiting.sorted(), "idemptx.overridden_by": new.overriding]
        return lists.filter { !$0.value.isEmpty }.mapValues { .array($0.map { .string($0) }) }
    }
}
