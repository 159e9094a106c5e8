import Foundation
import Hummingbird
import Idemptx
import Logging
import ServiceLifecycle

/// The running demo.
struct DemoServer {
    /// How long requests that are running may take to end once the server has been told to stop.
    private static let shutdownTime = Duration.seconds(30)

    let address: HostPort
    let router: Router<BasicRequestContext>
    let store: any IdempotencyStore & KeyInspecting & Service
    let policy: IdempotencyPolicy
    /// Whether a charge and its record are committed together.
    let isJoined: Bool

    func run() async throws {
        let logger = Logger(label: "idemptx")
        let (host, policy, isJoined) = (self.address.host, self.policy, self.isJoined)
        let crashKey = await self.unusedKey()
        let app = Application(
            router: self.router,
            configuration: ApplicationConfiguration(address: .hostname(self.address.host, port: self.address.port)),
            onServerRunning: { channel in
                let guide = DemoGuide(
                    address: HostPort(host: host, port: channel.localAddress?.port ?? 0), policy: policy,
                    processID: getpid(), crashKey: crashKey, isJoined: isJoined)
                Output.announce(guide.text)
            },
            logger: logger
        )
        let server = ListeningService(server: app, address: self.address)
        try await ServiceGroup.run([self.store, server], shutdownTime: Self.shutdownTime, logger: logger)
    }

    /// The first of `crash-1`, `crash-2`, … for which the store has no outcome.
    private func unusedKey() async -> String {
        var number = 1
        while await self.isCompleted("crash-\(number)") { number += 1 }
        return "crash-\(number)"
    }

    private func isCompleted(_ text: String) async -> Bool {
        guard let key = try? IdempotencyKey(text) else { return false }
        let name = StorageKey(namespace: self.policy.namespace, scope: .authorization(in: [:]), key: key)
        return (try? await self.store.record(for: name))?.outcome != nil
    }
}
