import Idemptx
import Logging
import ServiceLifecycle

/// The service of a store that operations may run without: whatever is wrong with it, it is tried again until it runs.
struct BypassedStoreService: Service {
    private static let longestPause = Duration.seconds(5)

    let store: any Service
    let logger: Logger

    func run() async throws {
        var lastFailure: String?
        var pause = Duration.seconds(1)
        while true {
            do {
                return try await self.store.run()
            } catch is CancellationError {
                return
            } catch {
                if Task.isShuttingDownGracefully { return }
                let failure = "\(error)"
                self.logger.log(
                    level: failure == lastFailure ? .debug : .info, "The idempotency store cannot be set up yet",
                    metadata: ["idempotency.error": "\(failure)"])
                lastFailure = failure
            }
            do {
                try await cancelWhenGracefulShutdown { [pause] in try await Task.sleep(for: pause) }
            } catch {
                return
            }
            pause = min(pause * 2, Self.longestPause)
        }
    }
}
