import HummingbirdCore
import Idemptx
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes

/// A connection of a client that speaks HTTP/1.
///
/// Like Hummingbird's own, but with a codec that keeps heads as they are.
struct HTTP1ServerChannel: HTTPChannelHandler {
    typealias Value = AcceptedConnection

    let responder: Responder
    let limits: ProxyLimits
    let isSecure: Bool
    /// Makes the answer to a request that cannot be read.
    let refusal: @Sendable (ProxyProblem.Kind) -> ResponseParts

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            channel.keepLittleUnsent()
            let pipeline = channel.pipeline.syncOperations
            var encoding = HTTPResponseEncoder.Configuration()
            encoding.automaticallySetFramingHeaders = false
            try pipeline.configureHTTPServerPipeline(
                withPipeliningAssistance: false, withErrorHandling: false, withOutboundHeaderValidation: false,
                withEncoderConfiguration: encoding, withDecoderLimitConfiguration: self.limits.ofDecoder)
            try pipeline.addHandler(HTTP1Codec(isSecure: self.isSecure, refusal: self.refusal))
            try pipeline.addHandler(ClientPatienceHandler(limits: self.limits))
            try pipeline.addHandler(ClientSignalsHandler(isHTTP2: false))
            // Closes the connection in time for a shutdown.
            try pipeline.addHandler(HTTPConnectionStateHandler(logger: logger))
            return AcceptedConnection(
                try NIOAsyncChannel(
                    wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true)))
        }
    }

    func handle(value: Value, logger: Logger) async {
        await self.handleHTTP(asyncChannel: value.take(), logger: logger)
    }
}

extension ProxyLimits {
    fileprivate var ofDecoder: NIOHTTPDecoderLimitConfiguration {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = self.maxHeaderSize
        limits.maxHeaderListSize = self.maxHeaderSize
        limits.maxHeaderFieldCount = self.maxHeaderCount
        return limits
    }
}
