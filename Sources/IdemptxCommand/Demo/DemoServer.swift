import Foundation
import Hummingbird
import Idemptx
import Logging
import ServiceLifecycle

/// The running demo.
struct DemoServer {
    /// How long requests that are running may take to end once the server has been told to stop.
    private static let shutdownTime = Duration.seconds(30)

    let host: String
    let port: Int
    let router: Router<BasicRequestContext>
    let store: any IdempotencyStore & Service
    let policy: IdempotencyPolicy

    func run() async throws {
        let logger = Logger(label: "idemptx")
        let (host, policy) = (self.host, self.policy)
        let app = Application(
            router: self.router,
            configuration: ApplicationConfiguration(address: .hostname(self.host, port: self.port)),
            onServerRunning: { channel in
                let guide = DemoGuide(
                    host: host, port: channel.localAddress?.port ?? 0, policy: policy, processID: getpid())
                Output.write(guide.text)
            },
            logger: logger
        )
        let server = ListeningService(server: app, host: self.host, port: self.port)
        try await ServiceGroup.run([self.store, server], shutdownTime: Self.shutdownTime, logger: logger)
    }
}
