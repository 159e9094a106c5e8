import HummingbirdCore
import HummingbirdHTTP2
import Idemptx
import Logging
import NIOCore
import NIOHTTP2
import NIOSSL
import NIOTLS

/// A connection of a client that speaks HTTPS: HTTP/2 or HTTP/1.1, as client and proxy agree (RFC 7301).
struct SecureServerChannel: ServerChildChannel {
    typealias Negotiated = NIONegotiatedHTTPVersion<HTTP1ServerChannel.Value, HTTP2Channel.Value>

    struct Value: ServerChildChannelValue {
        let negotiated: EventLoopFuture<Negotiated>
        let channel: any Channel
    }

    let tls: NIOSSLContext
    let http1: HTTP1ServerChannel
    let http2: HTTP2Channel
    let limits: ProxyLimits

    /// - Parameters:
    ///   - tls: The certificate, and all that belongs to it.
    ///   - limits: How much, and how long.
    ///   - responder: Makes the answers; is told whether a request came over HTTP/2.
    ///   - refusal: Makes the answer to a request that cannot be read.
    init(
        tls: NIOSSLContext,
        limits: ProxyLimits,
        responder: @escaping @Sendable (_ isHTTP2: Bool) -> HTTPChannelHandler.Responder,
        refusal: @escaping @Sendable (ProxyProblem.Kind) -> ResponseParts
    ) {
        self.tls = tls
        self.limits = limits
        self.http1 = HTTP1ServerChannel(responder: responder(false), limits: limits, isSecure: true, refusal: refusal)
        self.http2 = HTTP2Channel(
            responder: responder(true),
            configuration: HTTP2ChannelConfiguration(
                idleTimeout: limits.idleTimeout, gracefulCloseTimeout: limits.drainTimeout,
                streamConfiguration: .init(additionalChannelHandlers: [
                    ClientPatienceHandler(limits: limits), ClientSignalsHandler(isHTTP2: true),
                ])))
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            channel.keepLittleUnsent()
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(NIOSSLServerHandler(context: self.tls))
            let negotiation = NIOTypedApplicationProtocolNegotiationHandler<Negotiated> { result in
                self.setup(result, channel: channel, logger: logger)
            }
            try pipeline.addHandler(negotiation)
            // Until the two have agreed, nothing else keeps an eye on the client.
            let timeout = channel.eventLoop.scheduleTask(in: TimeAmount(self.limits.idleTimeout)) {
                channel.close(promise: nil)
            }
            negotiation.protocolNegotiationResult.whenComplete { _ in timeout.cancel() }
            return Value(negotiated: negotiation.protocolNegotiationResult, channel: channel)
        }
    }

    private func setup(
        _ result: ALPNResult,
        channel: any Channel,
        logger: Logger
    ) -> EventLoopFuture<Negotiated> {
        guard result == .negotiated("h2") else {
            return self.http1.setup(channel: channel, logger: logger).map { .http1_1($0) }
        }
        return self.http2.setup(channel: channel, logger: logger).flatMapThrowing { value in
            let pipeline = channel.pipeline.syncOperations
            let multiplexer = try pipeline.handler(type: NIOHTTP2Handler.self)
            try pipeline.addHandler(
                FarewellHandler(
                    timeout: TimeAmount(self.limits.idleTimeout), drainTimeout: TimeAmount(self.limits.drainTimeout)),
                position: .after(multiplexer))
            return .http2(value)
        }
    }

    func handle(value: Value, logger: Logger) async {
        do {
            switch try await value.negotiated.get() {
            case .http1_1(let connection): await self.http1.handle(value: connection, logger: logger)
            case .http2(let connection): await self.http2.handle(value: connection, logger: logger)
            }
        } catch {
            logger.debug("A client did not agree on a protocol", metadata: ["proxy.error": "\(error)"])
        }
    }
}
