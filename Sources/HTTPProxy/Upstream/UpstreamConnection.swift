import NIOCore
import NIOPosix
import NIOTLS

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A connection to the upstream, which carries one request at a time.
final class UpstreamConnection: ChannelDuplexHandler, Flushing, Swept {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let channel: any Channel
    private let pool: ConnectionPool
    private let endOfTick: EndOfTick
    private let timeouts: Timeouts
    private var context: ChannelHandlerContext?
    private var socket: NIOBSDSocket.Handle?
    /// Whether the connection is made, its handshake included.
    private var isReady: Bool
    private let isSecure: Bool
    private var isClosed = false
    private var handshakeTimer: Scheduled<Void>?
    private var error: (any Error)?

    private var user: (any UpstreamUser)?
    private var reader: ResponseReader
    /// What has come and is no whole head or line yet.
    private var pending: ByteBuffer?
    private var isRequestComplete = true
    /// Whether the body is held back until the upstream sends `100 Continue`.
    private var awaitsContinue = false
    private var servedCount = 0
    /// Whether something of the request may have left this host, and whether something of a response has come.
    private var isSent = false
    private var hasReceived = false

    private var output = OutputBuffer()
    /// Whether reading is paused until the response has been taken.
    private var isReadHeld = false
    private var isReadWanted = false

    // Time, as the sweep sees it.
    private var hasProgressed = false
    private var lastProgress = NIODeadline.uptimeNanoseconds(0)
    private var timeout: TimeAmount
    private var begin = NIODeadline.uptimeNanoseconds(0)

    init(
        _ channel: any Channel, pool: ConnectionPool, endOfTick: EndOfTick, timeouts: Timeouts, limits: ServerLimits,
        isSecure: Bool
    ) {
        self.channel = channel
        self.pool = pool
        self.endOfTick = endOfTick
        self.timeouts = timeouts
        self.timeout = timeouts.upstream
        self.isReady = !isSecure
        self.isSecure = isSecure
        self.reader = ResponseReader(
            maxHeadSize: limits.maxResponseHeaderSize, maxFieldCount: limits.maxResponseHeaderCount)
    }

    // MARK: What a user does

    /// Whether more of a request can be written without piling up.
    var isWritable: Bool { self.channel.isWritable }

    /// Whether the upstream has, as far as this host knows, not closed the connection.
    var isAlive: Bool {
        guard self.channel.isActive, !self.isClosed else { return false }
        guard let socket else { return true }
        // What has arrived and was not looked at yet is the end of the connection, or something that nobody asked for; over
        // TLS it may be news of the connection itself.
        var byte: UInt8 = 0
        let count = unsafe recv(socket, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
        return count < 0 ? errno == EAGAIN || errno == EWOULDBLOCK : count > 0 && self.isSecure
    }

    /// How long ago the request began.
    var elapsed: TimeAmount { .now() - self.begin }

    /// Begins a request.
    ///
    /// - Parameters:
    ///   - user: Who sends it.
    ///   - isHead: Whether it has the method HEAD.
    ///   - isUpgradePermitted: Whether the response may change the protocol.
    ///   - awaitsContinue: Whether the body is held back until the upstream sends `100 Continue`.
    ///   - timeout: How long the upstream may keep silent; `nil` for the usual time.
    func begin(
        _ user: any UpstreamUser, isHead: Bool, isUpgradePermitted: Bool, awaitsContinue: Bool = false,
        timeout: TimeAmount? = nil
    ) {
        self.user = user
        self.begin = .now()
        self.isRequestComplete = false
        self.awaitsContinue = awaitsContinue
        self.isSent = false
        self.hasReceived = false
        self.hasProgressed = true
        self.timeout = timeout ?? self.timeouts.upstream
        self.reader.begin(isHead: isHead, isUpgradePermitted: isUpgradePermitted)
    }

    /// Writes to the buffer that leaves at the end of the tick.
    func write(_ body: (inout ByteBuffer) -> Void) {
        self.setFlushDue()
        self.output.write(body)
    }

    func write(_ bytes: ByteBuffer) {
        self.awaitsContinue = false
        guard OutputBuffer.isLarge(bytes) else { return self.write { $0.writeImmutableBuffer(bytes) } }
        if let output = self.output.take() { self.context?.write(self.wrapOutboundOut(output), promise: nil) }
        self.setFlushDue()
        self.context?.write(self.wrapOutboundOut(bytes), promise: nil)
    }

    /// The head is written, and what follows is no part of it: if it does not leave this host as a whole, nobody can have
    /// acted on it.
    func sealHead() {
        guard let context, let head = self.output.take() else { return }
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenFailure { _ in self.isSent = false }
        context.write(self.wrapOutboundOut(head), promise: promise)
    }

    /// All of the request is written.
    func requestEnded() {
        self.isRequestComplete = true
        self.hasProgressed = true
    }

    /// Stops reading, or goes on.
    func holdReading(_ isHeld: Bool) {
        self.isReadHeld = isHeld
        self.hasProgressed = true
        guard !isHeld, self.isReadWanted else { return }
        self.isReadWanted = false
        self.context?.read()
    }

    /// The connection is not needed after all.
    func giveBack() { self.pool.release(self) }

    /// The client has left.
    func abandon() {
        self.user = nil
        self.close()
    }

    func close() {
        guard !self.isClosed else { return }
        self.isClosed = true
        self.channel.close(promise: nil)
    }

    /// Writes no more: the end of a tunnel's direction.
    func closeOutput() {
        self.flush()
        self.channel.close(mode: .output, promise: nil)
    }

    // MARK: Writing

    private func setFlushDue() {
        if self.output.begin() { self.endOfTick.flush(self) }
    }

    func flush() {
        guard self.output.isFlushDue else { return }
        self.isSent = true
        guard let context else { return }
        if let output = self.output.end() {
            context.writeAndFlush(self.wrapOutboundOut(output), promise: nil)
        } else {
            context.flush()
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.hasProgressed = true
        self.user?.upstreamWritabilityChanged()
        context.fireChannelWritabilityChanged()
    }

    // MARK: Reading

    func read(context: ChannelHandlerContext) {
        guard !self.isReadHeld else {
            self.isReadWanted = true
            return
        }
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        self.hasProgressed = true
        self.hasReceived = true
        if var pending {
            pending.writeBuffer(&bytes)
            bytes = pending
            self.pending = nil
        }
        do {
            try self.process(&bytes)
        } catch {
            self.fail("What the upstream sent is no proper response: \(error)", isHeadTooLarge: error.isHeadTooLarge)
        }
    }

    private func process(_ bytes: inout ByteBuffer) throws(MalformedMessage) {
        while !self.isClosed, let event = try self.reader.next(from: &bytes) {
            switch event {
            case .head(let head):
                // There is no response to wait for in a tunnel.
                if head.status == 101 { self.isRequestComplete = false }
                if head.status == 100 { self.awaitsContinue = false }
                self.user?.received(head)
            case .body(let bytes), .tunnel(let bytes): self.user?.receivedBody(bytes)
            case .end(let trailers): return self.responseEnded(trailers, hasMore: bytes.readableBytes > 0)
            }
        }
        if bytes.readableBytes > 0, !self.isClosed { self.pending = bytes }
    }

    private func responseEnded(_ trailers: Trailers, hasMore: Bool) {
        let user = self.user
        self.user = nil
        self.servedCount += 1
        self.isReadHeld = false
        // Unsolicited bytes must never be taken for the response to the next request.
        let isReusable = self.isRequestComplete && self.reader.isPersistent && !hasMore
        user?.receivedEnd(trailers)
        if isReusable, !self.isClosed {
            self.pool.release(self)
            if self.isReadWanted { self.holdReading(false) }
        } else {
            self.close()
        }
    }

    // MARK: The life of the connection

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        guard !self.isReady else { return }
        self.handshakeTimer = context.eventLoop.assumeIsolated().scheduleTask(in: self.timeouts.connect) {
            self.error = ChannelError.connectTimeout(self.timeouts.connect)
            self.close()
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        self.handshakeTimer?.cancel()
    }

    func channelActive(context: ChannelHandlerContext) {
        // Kept, since finding it costs more than a tenth of a request; never used once the channel is closed.
        self.socket = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable { $0 }
        if self.isReady { self.pool.connected(self) }
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent, !self.isReady {
            self.isReady = true
            self.handshakeTimer?.cancel()
            self.pool.connected(self)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.isClosed = true
        guard self.isReady else { return self.pool.connectingFailed(self.error ?? ChannelError.eof) }
        if self.user != nil {
            if self.error == nil, let event = self.reader.connectionEnded(), case .end(let trailers) = event {
                let user = self.user
                self.user = nil
                user?.receivedEnd(trailers)
            } else {
                self.fail("The connection was lost: \(self.error.map { "\($0)" } ?? "closed by the upstream")")
            }
        }
        self.pool.closed(self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.error = error
        self.close()
    }

    private func fail(_ reason: String, isTimeout: Bool = false, isHeadTooLarge: Bool = false) {
        let user = self.user
        self.user = nil
        let isStale = self.servedCount > 0 && !self.hasReceived && !isTimeout
        let failure = UpstreamFailure(
            self.isSent ? .mayHaveBeenProcessed : .notSent, isTimeout: isTimeout, isStaleConnection: isStale,
            isHeadTooLarge: isHeadTooLarge, reason)
        self.close()
        user?.upstreamFailed(failure)
    }

    // MARK: Time

    func sweep(now: NIODeadline) {
        if self.hasProgressed {
            self.hasProgressed = false
            self.lastProgress = now
        }
        // It does not count while a slow client is the one who holds things up.
        let isWaiting = !self.isWritable || ((self.isRequestComplete || self.awaitsContinue) && !self.isReadHeld)
        guard self.user != nil, isWaiting else {
            self.lastProgress = now
            return
        }
        if now - self.lastProgress > self.timeout { self.fail("No response in time", isTimeout: true) }
    }

    func drain() {}

    func shutDown() {
        guard self.user != nil else { return self.close() }
        self.fail("The proxy is shutting down")
    }
}
