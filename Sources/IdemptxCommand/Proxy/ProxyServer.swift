import Idemptx
import IdemptxProxy
import Logging
import Metrics
import ServiceLifecycle

/// The running proxy, with its store and its server for the operator.
struct ProxyServer {
    let settings: ProxySettings
    let flags: [String: String?]
    let logger: Logger

    func run() async throws {
        let configuration = self.settings.configuration
        // Before anything makes an instrument.
        let metrics = self.settings.adminPort.map { _ in PrometheusRegistry() }
        if let metrics { MetricsSystem.bootstrap(metrics) }
        let store = try await self.settings.store.open()
        let proxy = try self.proxy(store: store)
        var services: [any Service] = [store]
        if let metrics, let port = self.settings.adminPort {
            services.append(self.admin(port: port, store: store, metrics: metrics))
        }
        services.append(ListeningService(server: proxy, host: configuration.host, port: configuration.port))
        services.append(RulesReloader(proxy: proxy, settings: self.settings, flags: self.flags, logger: self.logger))
        // The proxy keeps to its own limit; what is beyond is for storing the last outcomes.
        try await ServiceGroup.run(
            services, shutdownTime: configuration.limits.drainTimeout + .seconds(15), logger: self.logger)
    }

    private func proxy(store: any IdempotencyStore) throws -> ReverseProxy {
        let configuration = self.settings.configuration
        let scheme = configuration.certificate == nil ? "http" : "https"
        do {
            return try ReverseProxy(configuration: configuration, store: store, logger: self.logger) { port in
                let url = Self.url(scheme, configuration.host, port)
                Output.write("Proxy: \(url) for \(configuration.upstream)\n")
            }
        } catch {
            throw StartError(error.description)
        }
    }

    private func admin(port: Int, store: any IdempotencyStore, metrics: PrometheusRegistry) -> ListeningService {
        let host = self.settings.adminHost
        let server = AdminServer(host: host, port: port, store: store, metrics: metrics, logger: self.logger) { port in
            Output.write("Admin: \(Self.url("http", host, port))\n")
        }
        return ListeningService(server: server, host: host, port: port)
    }

    private static func url(_ scheme: String, _ host: String, _ port: Int?) -> String {
        "\(scheme)://\(host.contains(":") ? "[\(host)]" : host):\(port ?? 0)"
    }
}
