import NIOCore
import NIOHTTPTypes

/// Tells those who answer a request what becomes of its client.
final class ClientSignalsHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart

    private let signals = ClientSignals()
    /// Whether the end of what the client sends is its departure.
    private let isHTTP2: Bool

    init(isHTTP2: Bool) {
        self.isHTTP2 = isHTTP2
    }

    /// The signals of a channel.
    ///
    /// - Throws: An error if the channel is closed.
    static func signals(of channel: any Channel) async throws -> ClientSignals {
        try await channel.eventLoop.submit {
            try channel.pipeline.syncOperations.handler(type: ClientSignalsHandler.self).signals
        }.get()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .end = self.unwrapInboundIn(data) { self.signals.requestEnded() }
        context.fireChannelRead(data)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // A client of HTTP/1 that closes its side waits for no answer, as good as always; nobody can tell otherwise.
        if !self.isHTTP2, event as? ChannelEvent == .inputClosed { self.signals.clientLeft() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.signals.clientLeft()
        context.fireChannelInactive()
    }
}
