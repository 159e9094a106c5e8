import NIOCore
import NIOPosix
import Synchronization

/// Unused ports of this host.
package enum FreePort {
    /// Below those that the system gives to outgoing connections: a client that tries to reach a server that is down
    /// could otherwise be given the server's port, and reach itself.
    private static let range = 18_000..<22_000
    /// Those of this process's servers, also while one of them is down.
    private static let reserved = Mutex<Set<Int>>([])
    /// How far from its port a server of a cluster listens to the others.
    package static let busOffset = 10_000

    /// Reserves a port; in a cluster, one whose companion for the other servers is free too.
    package static func reserve(isCluster: Bool = false) async throws -> Int {
        for _ in 0..<100 {
            let port = Int.random(in: Self.range)
            guard Self.reserved.withLock({ $0.insert(port).inserted }) else { continue }
            let isFree = await Self.isFree(port)
            if isFree, !isCluster { return port }
            if isFree, await Self.isFree(port + Self.busOffset) { return port }
            Self.release(port)
        }
        throw ServerFailure("There is no free port in \(Self.range).")
    }

    /// Lets others have a port again.
    package static func release(_ port: Int) {
        Self.reserved.withLock { _ = $0.remove(port) }
    }

    private static func isFree(_ port: Int) async -> Bool {
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        guard let channel = try? await bootstrap.bind(host: "127.0.0.1", port: port).get() else { return false }
        return (try? await channel.close()) != nil
    }
}
