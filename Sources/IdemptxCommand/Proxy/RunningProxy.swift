#if Proxy
import Idemptx
import IdemptxProxy
import Logging
import Metrics
import ServiceLifecycle
import UnixSignals

/// The running proxy, with its store and its server for the operator.
struct RunningProxy {
    let settings: ProxySettings
    let flags: [String: String?]
    let logger: Logger

    func run() async throws {
        // Before anything else: the signal would end the process until then.
        let signals = await UnixSignalsSequence(trapping: .sighup)
        // Before anything makes an instrument.
        let metrics = self.settings.adminPort.map { _ in PrometheusRegistry() }
        if let metrics { MetricsSystem.bootstrap(metrics) }
        let store = try await self.store()
        // Before the files are read for the first time.
        let watcher = self.settings.configuration.certificate.map { CertificateWatcher($0) }
        let proxy = try self.proxy(store: store)
        var services: [any Service] = [
            self.isBypassed ? BypassedStoreService(store: store, logger: self.logger) : store
        ]
        // Not a request is taken before everything is in its place.
        let adminListens = Beacon()
        if let metrics, let port = self.settings.adminPort {
            services.append(self.admin(for: proxy, port: port, store: store, metrics: metrics, telling: adminListens))
        } else {
            adminListens.light()
        }
        services += [
            ListeningService(server: proxy, address: self.address, start: adminListens),
            ConfigurationReloader(
                proxy: proxy, settings: self.settings, flags: self.flags, signals: signals, logger: self.logger),
        ]
        if var watcher {
            watcher.reload = { [logger] in proxy.reloadCertificate(logger: logger) }
            services.append(watcher)
        }
        // The proxy keeps to its own limit; the rest of the time is for storing the last outcomes.
        let shutdownTime = self.settings.configuration.limits.drainTimeout + .seconds(15)
        try await ServiceGroup.run(services, shutdownTime: shutdownTime, logger: self.logger)
    }

    private var isBypassed: Bool { self.settings.configuration.rules.standard.onStoreFailure == .bypass }

    private func store() async throws -> any IdempotencyStore & Service {
        guard self.isBypassed else { return try await self.settings.store.open() }
        return try await self.settings.store.openForBypass(logger: self.logger)
    }

    private var address: HostPort {
        HostPort(host: self.settings.configuration.host, port: self.settings.configuration.port)
    }

    private func proxy(store: any IdempotencyStore) throws -> ReverseProxy {
        var configuration = self.settings.configuration
        if let openFiles = OpenFileLimit.raised() {
            configuration.limits = configuration.limits.bounded(byOpenFiles: openFiles, logger: self.logger)
        }
        let (host, upstream) = (configuration.host, configuration.upstream)
        let scheme = configuration.certificate == nil ? "http" : "https"
        do {
            return try ReverseProxy(
                configuration: configuration, store: store, logger: self.logger
            ) { port in
                let address = HostPort(host: host, port: port ?? 0)
                Output.announce("Proxy: \(scheme)://\(address) for \(upstream)\n")
            }
        } catch {
            throw CommandError(error.description)
        }
    }

    private func admin(
        for proxy: ReverseProxy,
        port: Int,
        store: any IdempotencyStore,
        metrics: PrometheusRegistry,
        telling beacon: Beacon
    ) -> ListeningService {
        let host = self.settings.adminHost
        // What there is to tell of it is announced.
        var logger = self.logger
        logger.logLevel = max(logger.logLevel, .notice)
        let announce = { @Sendable (port: Int?) in
            beacon.light()
            Output.announce("Admin: http://\(HostPort(host: host, port: port ?? 0))\n")
        }
        let server = AdminServer(
            host: host, port: port, store: store, isServing: { proxy.isServing }, metrics: metrics, logger: logger,
            onServerRunning: announce)
        return ListeningService(server: server, address: HostPort(host: host, port: port))
    }
}
#endif
