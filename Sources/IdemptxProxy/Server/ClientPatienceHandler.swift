import HTTPTypes
import Logging
import NIOCore
import NIOHTTPTypes

/// Closes a connection, or a stream of HTTP/2, whose client is too slow.
///
/// Hummingbird's own idle timeout would do for clients that are silent, but counts also while the upstream takes its time
/// to read, and lets a client go on for ever that sends a byte now and then.
final class ClientPatienceHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private var patience: ClientPatience
    private var timer: DeadlineTimer?
    private var reads = ReadCycle()

    init(limits: ProxyLimits) {
        self.patience = ClientPatience(
            idleTimeout: TimeAmount(limits.idleTimeout), minimumRate: limits.minimumBodyRate)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.timer = DeadlineTimer(on: context.eventLoop)
        self.patience.connected(now: context.eventLoop.now)
        self.setTimer(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.timer?.cancel()
        self.timer = nil
    }

    // MARK: Events

    func read(context: ChannelHandlerContext) {
        self.patience.readingBegan(now: context.eventLoop.now)
        self.setTimer(context)
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let now = context.eventLoop.now
        if self.reads.partCame() { self.patience.readingEnded(now: now) }
        switch self.unwrapInboundIn(data) {
        case .head(let head): self.patience.requestBegan(isBodyHeldBack: head.expectsContinue)
        case .body(let bytes): self.patience.bodyCame(size: bytes.readableBytes, now: now)
        case .end: self.patience.requestEnded(now: now)
        }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if self.reads.completed() { self.patience.readingEnded(now: context.eventLoop.now) }
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.patience.writabilityChanged(to: context.channel.isWritable, now: context.eventLoop.now)
        self.setTimer(context)
        context.fireChannelWritabilityChanged()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let now = context.eventLoop.now
        switch self.unwrapOutboundIn(data) {
        case .head(let head) where head.status == .continue: self.patience.bodyWasCalledFor(now: now)
        case .head, .body: break
        case .end: self.patience.answerEnded(now: now)
        }
        self.setTimer(context)
        context.write(data, promise: promise)
    }

    // MARK: Patience

    private func setTimer(_ context: ChannelHandlerContext) {
        self.timer?.set(for: self.patience.deadline) { self.checkTime(context) }
    }

    private func checkTime(_ context: ChannelHandlerContext) {
        guard let deadline = self.patience.deadline else { return }
        guard deadline <= context.eventLoop.now else { return self.setTimer(context) }
        context.close(promise: nil)
    }
}

extension HTTPRequest {
    /// Whether the client waits for leave to send the body (RFC 9110, section 10.1.1).
    var expectsContinue: Bool { self.headerFields[.expect]?.lowercased() == "100-continue" }
}
