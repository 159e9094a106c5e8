import Synchronization

/// Servers that are killed together.
final class ServerCollection: Sendable {
    private let servers = Mutex<[RedisServer]>([])

    @discardableResult
    static func with<Value>(_ body: (ServerCollection) async throws -> Value) async throws -> Value {
        let collection = ServerCollection()
        do {
            let value = try await body(collection)
            await collection.stop()
            return value
        } catch {
            await collection.stop()
            throw error
        }
    }

    func start(_ options: RedisServerOptions, _ role: RedisServer.Role = .standalone) async throws -> RedisServer {
        let server = try await RedisServer.start(options, role)
        self.servers.withLock { $0.append(server) }
        return server
    }

    private func stop() async {
        for server in self.servers.withLock({ $0 }) { await server.stop() }
    }
}
