import NIOCore
import NIOHTTP2

/// Sees to it that a connection of HTTP/2 ends after its farewell (GOAWAY, RFC 9113, section 6.8): in time, and not too soon.
///
/// Hummingbird says farewell to a client, asks whether it has heard, and waits for the answer for ever. After that it
/// closes the connection with the last stream, in the middle of the writing of that stream's end.
final class FarewellHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTP2Frame
    typealias InboundOut = HTTP2Frame
    typealias OutboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private let timeout: TimeAmount
    private let drainTimeout: TimeAmount
    /// Closes the connection of a client that has not heard the farewell.
    private var timer: Scheduled<Void>?
    /// What the client is asked to send back when it has heard.
    private var question: HTTP2PingData?
    /// The last farewell, and until when the answers have time to leave.
    private var farewell: (frame: HTTP2Frame, deadline: NIODeadline)?
    private var isClosing = false

    /// - Parameters:
    ///   - timeout: How long the client may take to say that it has heard.
    ///   - drainTimeout: How long, after a farewell, what has been written may take to leave.
    init(timeout: TimeAmount, drainTimeout: TimeAmount) {
        self.timeout = timeout
        self.drainTimeout = drainTimeout
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.timer?.cancel()
    }

    // MARK: Farewells

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let frame = self.unwrapOutboundIn(data)
        switch frame.payload {
        case .goAway(_, let reason, _):
            if self.timer == nil { self.setTimer(context) }
            // A client that is given up is not waited for.
            self.farewell = reason == .noError ? (frame, context.eventLoop.now + self.drainTimeout) : nil
        case .ping(let question, ack: false): self.question = question
        default: break
        }
        context.write(data, promise: promise)
    }

    private func setTimer(_ context: ChannelHandlerContext) {
        self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: self.timeout) {
            context.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Anything else a client could say for ever.
        if case .ping(let answer, ack: true) = self.unwrapInboundIn(data).payload, answer == self.question {
            self.timer?.cancel()
        }
        context.fireChannelRead(data)
    }

    // MARK: The end

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        // Who closes once more does not want to wait.
        guard mode == .all, let farewell, !self.isClosing else { return context.close(mode: mode, promise: promise) }
        self.isClosing = true
        let eventLoop = context.eventLoop.assumeIsolated()
        // The end of the last stream is being written right now.
        eventLoop.execute {
            let written = context.eventLoop.makePromise(of: Void.self)
            let limit = eventLoop.scheduleTask(deadline: farewell.deadline) { written.fail(ChannelError.eof) }
            written.futureResult.assumeIsolated().whenComplete { _ in
                limit.cancel()
                context.close(promise: promise)
            }
            // Said once more, it has left when all that was written before has.
            context.writeAndFlush(self.wrapOutboundOut(farewell.frame), promise: written)
        }
    }
}
