import HTTPTestSupport
import Idemptx
import IdemptxProxy
import Logging
import ServiceLifecycle
import TestSupport
import Testing

/// What a test wants different from the defaults.
struct Change {
    let apply: (inout ProxyConfiguration) throws -> Void

    init(_ apply: @escaping (inout ProxyConfiguration) throws -> Void) {
        self.apply = apply
    }
}

/// A proxy in front of an upstream, both on ports of their own.
struct TestProxy: Sendable {
    let proxy: ReverseProxy
    let port: Int
    let upstream: TestUpstream
    /// Begins the graceful shutdown.
    let shutDown: @Sendable () async -> Void
    /// Whether the proxy has ended.
    let hasEnded: @Sendable () -> Bool

    /// Runs both while `body` runs: an upstream that follows a script, and a proxy whose configuration is changed.
    @discardableResult
    static func with<Value: Sendable>(
        store: any IdempotencyStore = MemoryStore(),
        logger: Logger = .silent,
        script: @escaping TestUpstream.Script = TestUpstream.responding { _ in .response() },
        configure: Change = Change { _ in },
        _ body: (TestProxy) async throws -> Value
    ) async throws -> Value {
        try await TestUpstream.with(script: script) { upstream in
            let port = try #require(upstream.port)
            var configuration = ProxyConfiguration(upstream: try Upstream("http://127.0.0.1:\(port)"))
            try configure.apply(&configuration)
            return try await self.run(configuration, store: store, logger: logger, in: upstream, body)
        }
    }

    /// Runs a proxy while `body` runs.
    @discardableResult
    static func run<Value: Sendable>(
        _ configuration: ProxyConfiguration,
        store: any IdempotencyStore = MemoryStore(),
        logger: Logger = .silent,
        in upstream: TestUpstream,
        _ body: (TestProxy) async throws -> Value
    ) async throws -> Value {
        var configuration = configuration
        configuration.port = 0
        let (ports, continuation) = AsyncStream.makeStream(of: Int?.self)
        let proxy = try ReverseProxy(configuration: configuration, store: store, logger: logger) { port in
            continuation.yield(port)
        }
        let group = ServiceGroup(services: [proxy], logger: logger)
        let end = Ledger()
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer {
                    continuation.finish()
                    end.add()
                }
                try await group.run()
            }
            let port = try #require(await ports.first { _ in true } ?? nil)
            let running = TestProxy(
                proxy: proxy, port: port, upstream: upstream, shutDown: { await group.triggerGracefulShutdown() },
                hasEnded: { end.count > 0 })
            do {
                let value = try await body(running)
                await group.triggerGracefulShutdown()
                try await tasks.waitForAll()
                return value
            } catch {
                await group.triggerGracefulShutdown()
                tasks.cancelAll()
                throw error
            }
        }
    }

    /// Sends one request over a connection of its own.
    ///
    /// It consists of method and target, header lines besides `Host` and `Content-Length`, and a body, with its length, if
    /// there is one.
    func send(_ request: String, _ fields: [String] = [], body: String? = nil) async throws -> WireMessage {
        try await RawConnection.open(port: self.port) { connection in
            try await connection.send(request, fields, body: body)
        }
    }

    /// Sends the request that most tests are about.
    func pay(_ key: String = "k-1", amount: Int = 5, _ fields: [String] = []) async throws -> WireMessage {
        try await self.send("POST /charges", ["Idempotency-Key: \(key)"] + fields, body: #"{"amount":\#(amount)}"#)
    }
}
