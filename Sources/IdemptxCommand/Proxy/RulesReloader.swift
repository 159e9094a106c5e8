import IdemptxProxy
import Logging
import ServiceLifecycle
import UnixSignals

/// Reads the configuration file again whenever the process gets `SIGHUP`.
struct RulesReloader: Service {
    let proxy: ReverseProxy
    let settings: ProxySettings
    let flags: [String: String?]
    let logger: Logger

    func run() async throws {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
            self.reload()
        }
    }

    /// A file that cannot be used leaves everything as it is.
    private func reload() {
        do {
            let settings = try ProxySettings(flags: self.flags)
            try self.proxy.replaceRules(with: settings.configuration.rules)
            self.logger.info("The rules have been read again", metadata: self.needingRestart(settings))
        } catch {
            self.logger.error("The rules stay as they are: \(error)")
        }
    }

    private func needingRestart(_ new: ProxySettings) -> Logger.Metadata {
        let names = self.settings.shown.values.filter { name, value in
            !self.settings.ruleNames.contains(name) && new.shown.values[name] != value
        }
        guard !names.isEmpty else { return [:] }
        return ["idemptx.needs_restart": .array(names.keys.sorted().map { .string($0) })]
    }
}
