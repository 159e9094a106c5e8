import NIOCore

/// Takes what comes over a client's connection after its protocol has changed.
final class TunnelHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let take: (ByteBuffer) -> Void

    init(_ take: @escaping (ByteBuffer) -> Void) {
        self.take = take
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.take(self.unwrapInboundIn(data))
    }
}
