package import NIOCore
import NIOPosix
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// One end of a connection, below HTTP: it writes what it likes, and hangs up when it likes.
package struct RawConnection {
    package let channel: any Channel
    private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    private let reader: Reader

    /// What has arrived so far.
    private final class Reader {
        var iterator: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
        var received: [UInt8] = []
        /// How many of the bytes have been taken by ``RawConnection/take(while:)``.
        var taken = 0
        var isAtEnd = false

        init(_ iterator: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator) {
            self.iterator = iterator
        }

        /// - Returns: `false` at the end of the connection.
        func receive() async throws -> Bool {
            guard !self.isAtEnd, let next = try await self.iterator.next(isolation: #isolation) else {
                self.isAtEnd = true
                return false
            }
            self.received += next.readableBytesView
            return true
        }
    }

    /// Connects, and hangs up when `body` returns.
    package static func open<Value: Sendable>(
        port: Int,
        configure: @escaping @Sendable (any Channel) throws -> Void = { _ in },
        _ body: (RawConnection) async throws -> Value
    ) async throws -> Value {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in Self.wrap(channel, configure) }
        return try await self.with(channel, body)
    }

    /// Makes a connection of a channel, as its last handler.
    package static func wrap(
        _ channel: any Channel,
        _ configure: (any Channel) throws -> Void = { _ in }
    ) -> EventLoopFuture<NIOAsyncChannel<ByteBuffer, ByteBuffer>> {
        channel.eventLoop.makeCompletedFuture {
            try configure(channel)
            return try NIOAsyncChannel(
                wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
        }
    }

    /// Uses a channel as a connection, and closes it when `body` returns.
    private static func with<Value: Sendable>(
        _ channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>,
        _ body: (RawConnection) async throws -> Value
    ) async throws -> Value {
        try await channel.executeThenClose { inbound, outbound in
            try await body(RawConnection(channel: channel.channel, inbound: inbound, outbound: outbound))
        }
    }

    /// The accepted end of a connection.
    ///
    /// Closes it if it is not used.
    package final class Accepted: Sendable {
        private let channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>
        private let isUsed = Mutex(false)

        package init(_ channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>) {
            self.channel = channel
        }

        deinit {
            guard self.isUsed.withLock({ !$0 }) else { return }
            let channel = self.channel
            Task { try await channel.executeThenClose { _, _ in } }
        }

        /// Uses the connection, and closes it when `body` returns.
        package func use(_ body: (RawConnection) async throws -> Void) async throws {
            self.isUsed.withLock { $0 = true }
            try await RawConnection.with(self.channel, body)
        }
    }

    private init(
        channel: any Channel,
        inbound: NIOAsyncChannelInboundStream<ByteBuffer>,
        outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) {
        self.channel = channel
        self.outbound = outbound
        self.reader = Reader(inbound.makeAsyncIterator())
    }

    package func write(_ text: String) async throws {
        try await self.outbound.write(ByteBuffer(string: text))
    }

    package func write(_ bytes: [UInt8]) async throws {
        try await self.outbound.write(ByteBuffer(bytes: bytes))
    }

    /// Writes no more, and leaves the server to close the connection.
    package func endWriting() {
        self.outbound.finish()
    }

    /// Resets the connection: the peer's writes fail.
    package func reset() async throws {
        let isReset = linger(l_onoff: 1, l_linger: 0)
        try await (self.channel as? any SocketOptionProvider)?.setSoLinger(isReset).get()
        try await self.channel.close().get()
    }

    /// Writes a request with a body of known length.
    package func post(_ path: String, host: String = "localhost", key: String, body: String) async throws {
        try await self.write(
            """
            POST \(path) HTTP/1.1\r
            Host: \(host)\r
            Idempotency-Key: \(key)\r
            Content-Length: \(body.utf8.count)\r
            \r
            \(body)
            """)
    }

    /// All that has arrived up to now.
    package var received: [UInt8] { self.reader.received }

    /// Reads until `text` has arrived.
    ///
    /// - Returns: All that has arrived up to now; without `text` if the other side closed the connection before.
    package func read(until text: String) async throws -> String {
        let end = Array(text.utf8)
        var searched = 0
        while !self.reader.received[max(0, searched - end.count)...].contains(end) {
            searched = self.reader.received.count
            guard try await self.reader.receive() else { break }
        }
        return String(decoding: self.reader.received, as: UTF8.self)
    }

    /// Reads until the other side closes the connection.
    @discardableResult
    package func readToEnd() async throws -> String {
        while try await self.reader.receive() {}
        return String(decoding: self.reader.received, as: UTF8.self)
    }

    /// Takes bytes off the front of what arrives; `nil` if the other side closed the connection before they came.
    ///
    /// `size` looks at the bytes, and returns how many to take; `nil` if more has to arrive.
    package func take(_ size: (ArraySlice<UInt8>) -> Int?) async throws -> [UInt8]? {
        while true {
            let rest = self.reader.received[self.reader.taken...]
            if let size = size(rest) {
                self.reader.taken += size
                return Array(rest.prefix(size))
            }
            guard try await self.reader.receive() else { return nil }
        }
    }

    /// Takes all that is left, to the end of the connection.
    package func takeRest() async throws -> [UInt8] {
        try await self.readToEnd()
        defer { self.reader.taken = self.reader.received.count }
        return Array(self.reader.received[self.reader.taken...])
    }
}

extension RawConnection {
    /// Connects a channel that takes nothing of what comes.
    package static func connect(port: Int) async throws -> any Channel {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: false)
            .connect(host: "127.0.0.1", port: port).get()
    }
}
