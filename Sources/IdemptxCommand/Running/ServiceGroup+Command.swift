import Logging
import ServiceLifecycle
import UnixSignals

extension ServiceGroup {
    /// Starts services in their order, and ends them in the reverse one when a signal asks for it, within `shutdownTime`.
    ///
    /// One that fails ends the others in good order.
    static func run(_ services: [any Service], shutdownTime: Duration, logger: Logger) async throws {
        let services = services.map { service in
            ServiceGroupConfiguration.ServiceConfiguration(
                service: service, failureTerminationBehavior: .gracefullyShutdownGroup)
        }
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = shutdownTime
        try await ServiceGroup(configuration: configuration).run()
    }
}
