import Hummingbird
public import Idemptx
public import Logging
public import ServiceLifecycle

/// A server for the operator, on a port of its own.
///
/// | path | response to `GET` and `HEAD` |
/// |---|---|
/// | `/healthz` | 200 while the process serves |
/// | `/readyz` | 200 if requests are taken, and the store can be written to within a second; else 503 |
/// | `/metrics` | all metrics in the text format of Prometheus |
///
/// Nothing of it needs a password: listen where only the operator can reach it.
public struct AdminServer: Service {
    private let application: Application<RouterResponder<BasicRequestContext>>

    /// Creates a server, which starts with ``run()``.
    ///
    /// - Parameters:
    ///   - host: The address to listen on.
    ///   - port: The port to listen on; 0 for any that is free.
    ///   - store: The store that readiness depends on.
    ///   - isServing: Whether requests are taken, such as ``ReverseProxy/isServing``.
    ///   - metrics: The metrics to show.
    ///   - logger: What it tells.
    ///   - onServerRunning: Called with the port once it accepts connections.
    public init(
        host: String = "127.0.0.1",
        port: Int,
        store: any IdempotencyStore,
        isServing: @escaping @Sendable () -> Bool = { true },
        metrics: PrometheusRegistry,
        logger: Logger,
        onServerRunning: @escaping @Sendable (_ port: Int?) async -> Void = { _ in }
    ) {
        self.application = Application(
            router: AdminRouter.make(
                isServing: isServing, readiness: ReadinessCheck(store: store), metrics: metrics),
            configuration: ApplicationConfiguration(address: .hostname(host, port: port), serverName: "idemptx"),
            onServerRunning: { await onServerRunning($0.localAddress?.port) },
            logger: logger)
    }

    /// Serves until a graceful shutdown.
    ///
    /// - Throws: An error if the address cannot be listened on.
    public func run() async throws {
        try await self.application.run()
    }
}
