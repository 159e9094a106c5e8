#if Proxy
import IdemptxProxy
import Logging
import ServiceLifecycle
import UnixSignals

/// Reads the configuration file and the certificate again whenever the process gets `SIGHUP`.
struct ConfigurationReloader: Service {
    private static let ruleNames = Set(RuleSection.rows.map(\.name))

    let proxy: ReverseProxy
    let settings: ProxySettings
    let flags: [String: String?]
    let signals: UnixSignalsSequence
    let logger: Logger

    func run() async throws {
        for await _ in self.signals.cancelOnGracefulShutdown() {
            self.reload()
            if self.settings.configuration.certificate != nil { self.proxy.reloadCertificate(logger: self.logger) }
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
        if new.store.location != self.settings.store.location { waiting.insert("store") }
        waiting.subtract(Self.ruleNames)
        let lists = ["idemptx.needs_restart": waiting.sorted(), "idemptx.overridden_by": new.overriding]
        return lists.filter { !$0.value.isEmpty }.mapValues { .array($0.map { .string($0) }) }
    }
}

extension ReverseProxy {
    /// Reads the files of the certificate again; if they cannot be used, the old one stays, and the log says why.
    func reloadCertificate(logger: Logger) {
        do {
            try self.reloadCertificate()
            logger.info("The certificate has been read again")
        } catch {
            logger.error("The certificate stays as it is: \(error)")
        }
    }
}
#endif
