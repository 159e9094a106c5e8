import NIOCore
import NIOPosix
import RedisServerTesting
import TestSupport

@testable import RESP3

/// A server that says what a test wants it to.
final actor FakeServer {
    /// What to say to a command, given its words; `nil` is nothing for now.
    typealias Replies = @Sendable ([String]) -> String?

    nonisolated private let eventLoop: any EventLoop
    private let replies: Replies
    private var listener: (any Channel)?
    private var connections: [any Channel] = []
    private var subscribers: [any Channel] = []
    /// The commands that came, each as its words.
    private(set) var commands: [[String]] = []
    /// How many connections there have been.
    private(set) var connectionCount = 0

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe self.eventLoop.executor.asUnownedSerialExecutor() }

    private init(_ replies: @escaping Replies) {
        self.eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        self.replies = replies
    }

    /// Greets as a server of today does.
    static let greeting = FakeServer.replying(nil)

    /// Greets, and always gives the same reply then.
    static func replying(_ reply: String?) -> Replies {
        { words in words[0] == "HELLO" ? "%1\r\n+proto\r\n:3\r\n" : reply }
    }

    @discardableResult
    static func with<Value: Sendable>(
        _ replies: @escaping Replies = FakeServer.greeting, _ body: (FakeServer) async throws -> Value
    ) async throws -> Value {
        let server = FakeServer(replies)
        try await server.listen()
        do {
            let value = try await body(server)
            await server.close()
            return value
        } catch {
            await server.close()
            throw error
        }
    }

    var port: Int { self.listener?.localAddress?.port ?? 0 }
    var address: NodeAddress { .tcp(host: "127.0.0.1", port: self.port) }
    var url: String { "redis://127.0.0.1:\(self.port)" }

    /// How many connections are open.
    var openCount: Int { self.connections.count { $0.isActive } }

    /// Says something on all connections.
    func say(_ text: String) {
        for connection in self.connections { connection.writeAndFlush(ByteBuffer(string: text), promise: nil) }
    }

    /// Says something on the connections that have subscribed to anything.
    func publish(_ text: String) {
        for connection in self.subscribers { connection.writeAndFlush(ByteBuffer(string: text), promise: nil) }
    }

    func hangUp() {
        for connection in self.connections { connection.close(promise: nil) }
        self.connections = []
    }

    /// Waits until a command of this name has come so many times.
    func waitFor(_ name: String, times: Int = 1) async throws {
        try await eventually("\(name) comes \(times) times") {
            self.commands.count { $0[0] == name } >= times
        }
    }

    private func listen() async throws {
        self.listener = try await ServerBootstrap(group: self.eventLoop).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(FakeServerHandler(self))
                self.assumeIsolated { server in
                    server.connections.append(channel)
                    server.connectionCount += 1
                }
            }
        }.bind(host: "127.0.0.1", port: 0).get()
    }

    private func close() async {
        self.hangUp()
        try? await self.listener?.close()
    }

    fileprivate func received(_ words: [String], on channel: any Channel) {
        self.commands.append(words)
        if words[0] == "SUBSCRIBE" { self.subscribers.append(channel) }
        guard let reply = self.replies(words) else { return }
        channel.writeAndFlush(ByteBuffer(string: reply), promise: nil)
    }
}

private final class FakeServerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let server: FakeServer
    // Commands are arrays of strings, so that the decoder of replies understands them.
    private let processor = NIOSingleStepByteToMessageProcessor(RESPDecoder(limits: RESPLimits()))

    init(_ server: FakeServer) {
        self.server = server
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = context.channel
        do {
            try self.processor.process(buffer: Self.unwrapInboundIn(data)) { command in
                let words = command.elements?.map { $0.string ?? "" } ?? []
                self.server.assumeIsolated { $0.received(words, on: channel) }
            }
        } catch {
            // Whatever it is, TLS for example, it is not for this server.
            context.close(promise: nil)
        }
    }
}
