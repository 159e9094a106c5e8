import Logging
import ServiceLifecycle

/// A service whose failure is told, and ends nothing else.
struct DispensableService: Service {
    let service: any Service
    let logger: Logger

    func run() async throws {
        do {
            return try await self.service.run()
        } catch is CancellationError {
            return
        } catch {
            self.logger.warning("A service that others can do without has failed", metadata: ["error": "\(error)"])
        }
        // A service that returned would end the others.
        try? await gracefulShutdown()
    }
}
