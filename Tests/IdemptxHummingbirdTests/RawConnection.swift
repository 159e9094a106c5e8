import NIOCore
import NIOPosix

/// A client below HTTP: it writes what it likes, and hangs up when it likes.
struct RawConnection {
    private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    private let reader: Reader

    /// What has arrived so far.
    private final class Reader {
        var iterator: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
        var received = ""

        init(_ iterator: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator) {
            self.iterator = iterator
        }
    }

    /// Connects, and hangs up when `body` returns.
    static func open<Value: Sendable>(
        port: Int,
        _ body: (RawConnection) async throws -> Value
    ) async throws -> Value {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "localhost", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                        wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await body(RawConnection(inbound: inbound, outbound: outbound))
        }
    }

    private init(
        inbound: NIOAsyncChannelInboundStream<ByteBuffer>,
        outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) {
        self.outbound = outbound
        self.reader = Reader(inbound.makeAsyncIterator())
    }

    func write(_ text: String) async throws {
        try await self.outbound.write(ByteBuffer(string: text))
    }

    /// Writes no more, and leaves the server to close the connection.
    func endWriting() {
        self.outbound.finish()
    }

    /// Writes a request with a body of known length.
    func post(_ path: String, key: String, body: String) async throws {
        try await self.write(
            """
            POST \(path) HTTP/1.1\r
            Host: localhost\r
            Idempotency-Key: \(key)\r
            Content-Length: \(body.utf8.count)\r
            \r
            \(body)
            """)
    }

    /// Reads until `text` has arrived.
    ///
    /// - Returns: All that has arrived up to now; without `text` if the server closed the connection before.
    func read(until text: String) async throws -> String {
        while !self.reader.received.contains(text),
            let next = try await self.reader.iterator.next(isolation: #isolation)
        {
            self.reader.received += String(buffer: next)
        }
        return self.reader.received
    }

    /// Reads until the server closes the connection.
    func readToEnd() async throws -> String {
        while let next = try await self.reader.iterator.next(isolation: #isolation) {
            self.reader.received += String(buffer: next)
        }
        return self.reader.received
    }
}
