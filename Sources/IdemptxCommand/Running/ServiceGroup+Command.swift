import Logging
import ServiceLifecycle
import UnixSignals

extension ServiceGroup {
    /// Runs services until a signal asks for their end.
    ///
    /// - Parameters:
    ///   - services: In the order of their start; they end in the reverse order.
    ///   - shutdownTime: How long they may take to end by themselves.
    static func run(_ services: [any Service], shutdownTime: Duration, logger: Logger) async throws {
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = shutdownTime
        try await ServiceGroup(configuration: configuration).run()
    }
}
