import Foundation
import Hummingbird
import Idemptx
import Logging
import NIOCore
import ServiceLifecycle
import UnixSignals

/// The running demo.
struct DemoServer {
    /// How long requests that are running may take to end once the server has been told to stop.
    private static let shutdownLimit = Duration.seconds(30)

    let host: String
    let port: Int
    let router: Router<BasicRequestContext>
    let store: any IdempotencyStore & Service
    let policy: IdempotencyPolicy

    func run() async throws {
        var logger = Logger(label: "idemptx") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel =
            ProcessInfo.processInfo.environment["LOG_LEVEL"].flatMap { Logger.Level(rawValue: $0) } ?? .info
        let (host, policy) = (self.host, self.policy)
        let app = Application(
            router: self.router,
            configuration: ApplicationConfiguration(address: .hostname(self.host, port: self.port)),
            onServerRunning: { channel in
                let guide = DemoGuide(
                    host: host, port: channel.localAddress?.port ?? 0, policy: policy, processID: getpid())
                FileHandle.standardOutput.write(Data(guide.text.utf8))
            },
            logger: logger
        )
        var configuration = ServiceGroupConfiguration(
            services: [self.store, app], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = Self.shutdownLimit
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch let error as IOError {
            // Safe: the text is copied before anything else can ask for one.
            throw self.listenError(unsafe String(cString: strerror(error.errnoCode)))
        } catch is SocketAddressError.UnknownHost {
            throw self.listenError("the host is unknown")
        }
    }

    private func listenError(_ reason: String) -> StartError {
        StartError("Cannot listen on \(self.host):\(self.port): \(reason).")
    }
}
