import Logging
import ServiceLifecycle

/// A service whose failure is logged and does not end the service group.
struct DispensableService: Service {
    let service: any Service
    let logger: Logger

    func run() async throws {
        do {
            return try await self.service.run()
        } catch is CancellationError {
            return
        } catch {
            self.logger.warning("An optional service has failed", metadata: ["error": "\(error)"])
        }
        // Returning would end the group.
        try? await gracefulShutdown()
    }
}
