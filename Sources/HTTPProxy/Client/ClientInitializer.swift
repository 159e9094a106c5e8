import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOSSL
import NIOTLS
import Synchronization

/// Sets up the connections that clients make.
struct ClientInitializer: Sendable {
    let configuration: ServerConfiguration

    /// One connection at a time: Swift's runtime has crashed while two event loops looked up for the first time what the same
    /// types conform to.
    private static let setUpLock = Mutex(())

    /// On the event loop of the connection.
    func initialize(_ channel: any Channel, on loop: LoopState) throws {
        try Self.setUpLock.withLock { _ in try self.setUp(channel, on: loop) }
    }

    private func setUp(_ channel: any Channel, on loop: LoopState) throws {
        channel.keepLittleUnsent()
        guard let tls = self.configuration.tls else { return try self.addHTTP1(to: channel, on: loop, isSecure: false) }
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(NIOSSLServerHandler(context: tls()))
        let handshake = PendingHandshake(channel, timeout: loop.timeouts.idle)
        loop.clients.add(handshake)
        if loop.isDraining { handshake.drain() }
        let (bound, pending) = (
            NIOLoopBound(loop, eventLoop: loop.eventLoop), NIOLoopBound(handshake, eventLoop: loop.eventLoop)
        )
        let negotiation = NIOTypedApplicationProtocolNegotiationHandler<Void> { result in
            channel.eventLoop.makeCompletedFuture {
                bound.value.clients.remove(pending.value)
                if result == .negotiated("h2") {
                    try self.addHTTP2(to: channel, on: bound.value)
                } else {
                    try self.addHTTP1(to: channel, on: bound.value, isSecure: true)
                }
            }
        }
        try pipeline.addHandler(negotiation)
        negotiation.protocolNegotiationResult.whenFailure { _ in
            bound.value.clients.remove(pending.value)
            channel.close(promise: nil)
        }
    }

    private func addHTTP1(to channel: any Channel, on loop: LoopState, isSecure: Bool) throws {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = loop.limits.maxHeaderSize
        limits.maxHeaderListSize = loop.limits.maxHeaderSize
        limits.maxHeaderFieldCount = loop.limits.maxHeaderCount
        let decoder = ByteToMessageHandler(
            HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: limits))
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(decoder)
        let connection = HTTP1Connection(channel, on: loop, isSecure: isSecure, decoder: decoder)
        try pipeline.addHandler(connection)
        if loop.isDraining { connection.drain() }
    }

    private func addHTTP2(to channel: any Channel, on loop: LoopState) throws {
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
            HTTP2Setting(
                parameter: .maxConcurrentStreams,
                value: loop.limits.maxConcurrentStreams + HTTP2WireHandler.excessStreams),
            HTTP2Setting(parameter: .maxHeaderListSize, value: loop.limits.maxHeaderSize),
        ]
        // A malformed request ends its own stream, not the connection that it shares.
        connection.headerBlockValidation = .disabled
        var stream = NIOHTTP2Handler.StreamConfiguration()
        stream.outboundBufferSizeHighWatermark = 64 * 1024
        stream.outboundBufferSizeLowWatermark = 32 * 1024
        stream.streamResetFrameRateLimit.maximumCount = HTTP2FrameBalance.maxResets
        stream.streamResetFrameRateLimit.windowLength = HTTP2FrameBalance.resetWindow
        let bound = NIOLoopBound(loop, eventLoop: loop.eventLoop)
        let pipeline = channel.pipeline.syncOperations
        let gracefulClose = HTTP2GracefulCloseHandler(on: loop)
        let streams = NIOLoopBound(
            HTTP2StreamCount(limit: loop.limits.maxConcurrentStreams), eventLoop: loop.eventLoop)
        try pipeline.addHandler(HTTP2WireHandler(maxConcurrentStreams: loop.limits.maxConcurrentStreams))
        _ = try pipeline.configureHTTP2Pipeline(
            mode: .server, connectionConfiguration: connection, streamConfiguration: stream,
            streamDelegate: gracefulClose.streamDelegate
        ) { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.pipeline.syncOperations.addHandler(
                    HTTP2Stream(stream, among: streams.value, on: bound.value))
            }
        }
        try pipeline.addHandler(gracefulClose)
    }
}

extension Channel {
    /// Lets the system tell soon what a client takes: it would keep some megabytes of a response to itself, and report
    /// nothing until a third of them has gone.
    fileprivate func keepLittleUnsent() {
        #if canImport(Darwin)
        let option = NIOBSDSocket.Option(rawValue: 0x201)
        #else
        let option = NIOBSDSocket.Option(rawValue: 25)
        #endif
        // TCP_NOTSENT_LOWAT. Where there is none, a slow client has to be a little faster.
        try? self.syncOptions?.setOption(.tcpOption(option), value: 128 * 1024)
    }

    /// Closes the connection without waiting for the client, who would have to say goodbye over TLS.
    func closeAtOnce() {
        guard let tls = try? self.pipeline.syncOperations.context(handlerType: NIOSSLServerHandler.self) else {
            return self.close(promise: nil)
        }
        tls.close(promise: nil)
    }
}
