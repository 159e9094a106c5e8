import NIOCore
import NIOHTTP2

/// Ends a connection of HTTP/2 with GOAWAY (RFC 9113, section 6.8): after its last stream, and not before the end of that has
/// left; in time, also if the client does not react.
final class HTTP2GracefulCloseHandler: ChannelDuplexHandler, Swept {
    typealias InboundIn = HTTP2Frame
    typealias InboundOut = HTTP2Frame
    typealias OutboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private enum State {
        case open
        /// The client was told to open no more streams, and asked whether it has heard.
        case asked(TimeAmount)
        /// The client has heard, or did not say in time.
        case ending
        /// The last GOAWAY is on its way.
        case closing(TimeAmount)
        /// All is said, and the client may take what it has not read.
        case lingering(TimeAmount)
    }

    /// What the client is asked to send back.
    private static let ping = HTTP2PingData(withInteger: 0x4944_454D_5054_5859)
    /// How long it may take to do so.
    private static let pingTimeout = TimeAmount.seconds(1)

    private let loop: LoopState
    private var context: ChannelHandlerContext?
    private var state = State.open
    private var openStreams = 0
    /// Whether the client was told that the connection has an error, and which.
    private var hasSaidError = false
    private var lastStream = HTTP2StreamID.rootStream
    private var idleTime = TimeAmount.zero
    private var lastSweep: NIODeadline?

    init(on loop: LoopState) {
        self.loop = loop
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.loop.clients.add(self)
        if self.loop.isDraining { self.drain() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        self.loop.clients.remove(self)
    }

    /// Tells the handler of the streams of its connection.
    struct StreamDelegate: NIOHTTP2StreamDelegate, Sendable {
        let handler: NIOLoopBound<HTTP2GracefulCloseHandler>

        func streamCreated(_ id: HTTP2StreamID, channel: any Channel) { self.handler.value.streamOpened(id) }

        func streamClosed(_ id: HTTP2StreamID, channel: any Channel) { self.handler.value.streamClosed() }
    }

    var streamDelegate: StreamDelegate {
        StreamDelegate(handler: NIOLoopBound(self, eventLoop: self.loop.eventLoop))
    }

    private func streamOpened(_ id: HTTP2StreamID) {
        self.openStreams += 1
        self.lastStream = max(self.lastStream, id)
    }

    private func streamClosed() {
        self.openStreams -= 1
        self.idleTime = .zero
        self.closeIfDone()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // A client of HTTP/2 that closes its side has left: it could not say anything about its streams any more.
        if event as? ChannelEvent == .inputClosed { context.close(promise: nil) }
        switch event as? HTTP2WireHandler.Event {
        case .manyResets: self.drain()
        case .connectionError: self.hasSaidError = true
        case nil: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Anything else a client could say for ever.
        if case .ping(Self.ping, ack: true) = self.unwrapInboundIn(data).payload { self.heard() }
        context.fireChannelRead(data)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // An error of a stream is that stream's.
        if error is any NIOHTTP2Error, !self.hasSaidError { return }
        if case .lingering = self.state { return }
        // Before anything is written: what fails then comes back here.
        self.state = .lingering(.zero)
        if !self.hasSaidError {
            self.sayGoAway(error is HTTP2Flood ? .enhanceYourCalm : .protocolError, last: self.lastStream)
        }
        self.linger()
    }

    /// Stops reading and writing, but closes the connection later: if bytes of the client arrive after the close, the system
    /// discards what the client has not read yet, including the GOAWAY with the reason.
    private func linger() {
        self.state = .lingering(.zero)
        self.context?.triggerUserOutboundEvent(HTTP2WireHandler.IgnoreInput(), promise: nil)
        self.context?.close(mode: .output, promise: nil)
    }

    // MARK: The end

    func drain() {
        guard case .open = self.state, let context else { return }
        self.state = .asked(.zero)
        // A client that opens a stream just now must not lose it: the last one is not known before it has heard.
        context.triggerUserOutboundEvent(HTTP2WireHandler.AnnounceEnd(), promise: nil)
        context.writeAndFlush(
            self.wrapOutboundOut(HTTP2Frame(streamID: .rootStream, payload: .ping(Self.ping, ack: false))),
            promise: nil)
    }

    private func sayGoAway(_ code: HTTP2ErrorCode, last: HTTP2StreamID, promise: EventLoopPromise<Void>? = nil) {
        let payload = HTTP2Frame.FramePayload.goAway(lastStreamID: last, errorCode: code, opaqueData: nil)
        self.context?.writeAndFlush(
            self.wrapOutboundOut(HTTP2Frame(streamID: .rootStream, payload: payload)), promise: promise)
    }

    private func heard() {
        guard case .asked = self.state else { return }
        self.state = .ending
        self.sayGoAway(.noError, last: self.lastStream)
        self.closeIfDone()
    }

    private func closeIfDone() {
        guard case .ending = self.state, self.openStreams == 0, let context else { return }
        self.state = .closing(.zero)
        // The end of the last stream is being written right now, and left for the end of the tick.
        let eventLoop = context.eventLoop.assumeIsolated()
        eventLoop.execute {
            eventLoop.execute {
                let written = context.eventLoop.makePromise(of: Void.self)
                written.futureResult.assumeIsolated().whenComplete { _ in self.linger() }
                // Said once more, it has left when all that was written before has.
                self.sayGoAway(.noError, last: self.lastStream, promise: written)
            }
        }
    }

    // MARK: Time

    func sweep(now: NIODeadline) {
        let elapsed = self.lastSweep.map { now - $0 } ?? .zero
        self.lastSweep = now
        switch self.state {
        case .open:
            self.idleTime = self.openStreams > 0 ? .zero : self.idleTime + elapsed
            if self.idleTime >= self.loop.timeouts.idle { self.drain() }
        case .asked(let time):
            self.state = .asked(time + elapsed)
            if time + elapsed >= Self.pingTimeout { self.heard() }
        case .ending: break
        case .closing(let time):
            self.state = .closing(time + elapsed)
            if time + elapsed >= self.loop.timeouts.gap { self.shutDown() }
        case .lingering(let time):
            self.state = .lingering(time + elapsed)
            if time + elapsed >= self.loop.timeouts.linger { self.shutDown() }
        }
    }

    func shutDown() {
        self.context?.channel.closeAtOnce()
    }
}
