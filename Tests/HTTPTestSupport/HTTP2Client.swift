package import NIOCore
package import NIOHPACK
package import NIOHTTP2
import NIOPosix
import NIOSSL
package import TestSupport

/// A client of HTTP/2 that sends just the frames that a test wants.
package struct HTTP2Client {
    package typealias Stream = NIOAsyncChannel<HTTP2Frame.FramePayload, HTTP2Frame.FramePayload>

    package struct Response {
        package var heads: [HPACKHeaders] = []
        package var body: [UInt8] = []
        package var error: (any Error)?

        package var head: HPACKHeaders? { self.heads.first { $0.first(name: ":status") != "103" } }
        package var status: String? { self.head?.first(name: ":status") }
        package var text: String { String(decoding: self.body, as: UTF8.self) }
    }

    package let channel: any Channel
    /// How often the server has said GOAWAY.
    package let goAways: Ledger
    private let multiplexer: NIOHTTP2Handler.AsyncStreamMultiplexer<Stream>

    package static func with<Value: Sendable>(
        port: Int,
        authority: String,
        initialWindow: Int? = nil,
        _ body: (HTTP2Client) async throws -> Value
    ) async throws -> Value {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .file(authority)
        configuration.applicationProtocols = ["h2"]
        let tls = try NIOSSLContext(configuration: configuration)
        let goAways = Ledger()
        let (channel, multiplexer) = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        NIOSSLClientHandler(context: tls, serverHostname: "localhost"))
                    let multiplexer = try channel.pipeline.syncOperations.configureAsyncHTTP2Pipeline(
                        mode: .client, configuration: Self.lenient(initialWindow: initialWindow)
                    ) { stream in Self.wrap(stream) }
                    try channel.pipeline.syncOperations.addHandler(GoAwayCounter(goAways))
                    return (channel, multiplexer)
                }
            }
        let client = HTTP2Client(channel: channel, goAways: goAways, multiplexer: multiplexer)
        do {
            let value = try await body(client)
            try? await channel.close()
            return value
        } catch {
            try? await channel.close()
            throw error
        }
    }

    /// Says also what no client should, and takes large heads.
    private static func lenient(initialWindow: Int?) -> NIOHTTP2Handler.Configuration {
        var configuration = NIOHTTP2Handler.Configuration()
        configuration.connection.headerBlockValidation = .disabled
        configuration.connection.initialSettings = [HTTP2Setting(parameter: .maxHeaderListSize, value: 1 << 20)]
        configuration.connection.maximumSequentialContinuationFrames = 64
        if let initialWindow {
            configuration.connection.initialSettings.append(
                HTTP2Setting(parameter: .initialWindowSize, value: initialWindow))
            configuration.stream.targetWindowSize = initialWindow
        }
        return configuration
    }

    private static func wrap(_ stream: any Channel) -> EventLoopFuture<Stream> {
        stream.eventLoop.makeCompletedFuture { try Stream(wrappingChannelSynchronously: stream) }
    }

    /// Sends a request with all of its body, and reads the response.
    package func send(
        _ headers: [(String, String)], body: String? = nil, trailers: [(String, String)] = []
    ) async throws -> Response {
        try await self.open(headers, endStream: body == nil) { stream, outbound, inbound in
            if let body { try await outbound.write(.data(body, endStream: trailers.isEmpty)) }
            if !trailers.isEmpty {
                try await outbound.write(.headers(.init(headers: HPACKHeaders(trailers), endStream: true)))
            }
            var response = Response()
            do {
                for try await frame in inbound {
                    switch frame {
                    case .headers(let headers): response.heads.append(headers.headers)
                    case .data(let data):
                        if case .byteBuffer(let bytes) = data.data { response.body += bytes.readableBytesView }
                    default: break
                    }
                }
            } catch {
                response.error = error
            }
            return response
        }
    }

    /// Opens a stream with a head.
    package func open<Value: Sendable>(
        _ headers: [(String, String)],
        endStream: Bool,
        _ body: (
            any Channel, NIOAsyncChannelOutboundWriter<HTTP2Frame.FramePayload>,
            NIOAsyncChannelInboundStream<HTTP2Frame.FramePayload>
        ) async throws -> Value
    ) async throws -> Value {
        let stream = try await self.multiplexer.openStream { Self.wrap($0) }
        return try await stream.executeThenClose { inbound, outbound in
            try await outbound.write(.headers(.init(headers: HPACKHeaders(headers), endStream: endStream)))
            return try await body(stream.channel, outbound, inbound)
        }
    }
}

private final class GoAwayCounter: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame

    private let goAways: Ledger

    init(_ goAways: Ledger) {
        self.goAways = goAways
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .goAway = self.unwrapInboundIn(data).payload { self.goAways.add() }
        context.fireChannelRead(data)
    }
}

extension HTTP2Frame.FramePayload {
    package static func data(_ text: String, endStream: Bool) -> Self {
        .data(.init(data: .byteBuffer(ByteBuffer(string: text)), endStream: endStream))
    }
}

extension [(String, String)] {
    package static func head(_ method: String, _ path: String, _ fields: [(String, String)] = []) -> Self {
        [(":method", method), (":scheme", "https"), (":authority", "api.test"), (":path", path)] + fields
    }
}
