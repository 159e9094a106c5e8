import NIOCore

/// Accepts no more connections than there may be at a time; one more waits in the system.
final class AcceptLimitHandler: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = Never

    private let limit: Int
    private var open = 0
    private var isReadWanted = false

    init(limit: Int) {
        self.limit = limit
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.open += 1
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        self.unwrapInboundIn(data).closeFuture.whenComplete { _ in
            eventLoop.execute { bound.value.0.closed(bound.value.1) }
        }
        context.fireChannelRead(data)
    }

    private func closed(_ context: ChannelHandlerContext) {
        self.open -= 1
        guard self.isReadWanted else { return }
        self.isReadWanted = false
        context.read()
    }

    func read(context: ChannelHandlerContext) {
        guard self.open < self.limit else {
            self.isReadWanted = true
            return
        }
        context.read()
    }
}
