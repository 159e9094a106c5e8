import Logging
import ServiceLifecycle
import UnixSignals

extension ServiceGroup {
    /// Starts services in their order, and ends them in the reverse one when a signal asks for it, within `shutdownTime`.
    static func run(_ services: [any Service], shutdownTime: Duration, logger: Logger) async throws {
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = shutdownTime
        try await ServiceGroup(configuration: configuration).run()
    }
}
