#if Valkey
import Idemptx
public import IdemptxRedis
import NIOCore
public import ServiceLifecycle
import Synchronization
public import Valkey

/// Lets a `RedisStore` use the connections of a `ValkeyClient`, on one server.
///
/// ```swift
/// let client = ValkeyClient(.hostname("localhost", port: 6379), logger: logger)
/// let executor = ValkeyExecutor(client: client)
/// let store = RedisStore(executor: executor)
/// let group = ServiceGroup(services: [client, executor, store], gracefulShutdownSignals: [.sigterm], logger: logger)
/// ```
public final class ValkeyExecutor: RedisExecutor {
    /// This channel has no messages.
    private static let silentChannel = "idemptx"

    private let client: ValkeyClient
    /// One for all subscriptions; there is none unless ``run()`` runs.
    private let subscriber = Mutex<ValkeyConnection?>(nil)

    /// Creates an executor.
    ///
    /// - Parameter client: The client, which has to run (`ValkeyClient.run()`).
    public init(client: ValkeyClient) {
        self.client = client
    }

    /// Sends commands in their order over one connection, and waits for all replies.
    public func execute(_ commands: [RedisCommand], key: [UInt8]?) async throws -> [RedisReply] {
        let results: [Result<RESPToken, ValkeyClientError>]
        do {
            // Not the client's own `execute`: that repeats commands, and not always over the same connection.
            results = try await self.client.withConnection { connection in
                await connection.execute(commands.map { AnyCommand(words: $0.words) as any ValkeyCommand })
            }
        } catch {
            throw StoreError(.unavailable, "There is no connection to Valkey.", underlyingError: error)
        }
        return try results.map { try RedisReply($0) }
    }

    /// Hints at messages in a channel; there are none unless ``run()`` runs.
    public func subscribe(to channel: String) -> AsyncStream<Void> {
        // Not the client's own `subscribe`: it can crash when it is cancelled, or when the client stops.
        let connection = self.subscriber.withLock(\.self)
        return AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
            // Ends with the stream that it fills.
            let subscription = Task.detached {
                try? await connection?.subscribe(to: channel) { messages in
                    continuation.yield()
                    for try await _ in messages { continuation.yield() }
                }
                continuation.finish()
            }
            continuation.onTermination = { _ in subscription.cancel() }
        }
    }
}

extension ValkeyExecutor: Service {
    /// Keeps a connection for subscriptions, which wake waiting requests at once, until the service group shuts down.
    public func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await self.client.withConnection { connection in
                    self.subscriber.withLock { $0 = connection }
                    defer { self.subscriber.withLock { $0 = nil } }
                    // It throws when the connection is lost.
                    try await connection.subscribe(to: Self.silentChannel) { for try await _ in $0 {} }
                }
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }
}

/// Words that are sent as they are.
private struct AnyCommand: ValkeyCommand {
    static let name = "idemptx"
    let words: [[UInt8]]

    var keysAffected: [ValkeyKey] { [] }

    func encode(into encoder: inout ValkeyCommandEncoder) {
        // A key can hold any bytes.
        encoder.encodeArray(self.words.map { ValkeyKey(ByteBuffer(bytes: $0)) })
    }
}
#endif
