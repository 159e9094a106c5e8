import NIOCore
import NIOHTTP2

/// Closes a connection of HTTP/2 whose client does not react to a farewell (GOAWAY, RFC 9113, section 6.8).
///
/// Hummingbird says farewell to a client without requests, asks whether it has heard, and waits for the answer for ever.
final class FarewellHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTP2Frame
    typealias InboundOut = HTTP2Frame
    typealias OutboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private let timeout: TimeAmount
    private var timer: Scheduled<Void>?

    init(timeout: TimeAmount) {
        self.timeout = timeout
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.timer?.cancel()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .goAway = self.unwrapOutboundIn(data).payload, self.timer == nil {
            self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: self.timeout) {
                context.close(promise: nil)
            }
        }
        context.write(data, promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.timer?.cancel()
        context.fireChannelRead(data)
    }
}
