import HTTPTypes
import Logging
import NIOCore
import NIOHTTPTypes

/// Closes a connection, or a stream of HTTP/2, whose client is too slow.
///
/// Hummingbird's own idle timeout would do for clients that are silent, but counts also while the upstream takes its time
/// to read, and lets a client go on for ever that sends a byte now and then. Answers leave in pieces, each of which is a
/// sign of life. Who closes the channel after an answer, closes it when the answer has left.
final class ClientPatienceHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private var patience: ClientPatience
    private var timer: DeadlineTimer?
    private var reads = ReadCycle()
    /// How many answers are written to their end, and have not left.
    private var unfinished = 0
    /// Closes the channel, once they have.
    private var close: (() -> Void)?
    private var isHurried = false
    private static let pieceSize = 64 * 1024

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

    // MARK: Answers

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch self.unwrapOutboundIn(data) {
        case .head(let head):
            if head.status == .continue { self.patience.bodyWasCalledFor(now: context.eventLoop.now) }
            self.write(.head(head), context: context, promise: promise)
        case .body(var bytes):
            // What is flushed at once is taken at once, as far as TLS can tell.
            while bytes.readableBytes > Self.pieceSize, let piece = bytes.readSlice(length: Self.pieceSize) {
                self.write(.body(piece), context: context, promise: nil)
                context.flush()
            }
            self.write(.body(bytes), context: context, promise: promise)
        case .end(let trailers):
            self.unfinished += 1
            self.write(.end(trailers), context: context, promise: promise)
        }
        self.setTimer(context)
    }

    private func write(_ part: HTTPResponsePart, context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        let taken = context.eventLoop.makePromise(of: Void.self)
        if let promise { taken.futureResult.cascade(to: promise) }
        taken.futureResult.assumeIsolated().whenComplete { result in
            self.taken(part, result, context: context)
        }
        self.patience.pieceWritten(now: context.eventLoop.now)
        context.write(self.wrapOutboundOut(part), promise: taken)
    }

    private func taken(_ part: HTTPResponsePart, _ result: Result<Void, any Error>, context: ChannelHandlerContext) {
        let now = context.eventLoop.now
        self.patience.pieceTaken(now: now)
        if case .end = part {
            self.unfinished -= 1
            self.patience.answerEnded(now: now)
            if self.unfinished == 0, let close {
                self.close = nil
                return close()
            }
        }
        if case .success = result { self.setTimer(context) }
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        // The server's last word, when the time of a shutdown is over; without it, it closes while an answer is leaving.
        if mode == .input { self.isHurried = true }
        let isPending = self.close != nil
        guard mode == .all, self.unfinished > 0, !self.isHurried, !isPending else {
            return context.close(mode: isPending ? .all : mode, promise: promise)
        }
        self.close = { context.close(promise: promise) }
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
