import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import IdemptxProxy

@Suite("A connection to the upstream")
struct UpstreamConnectionTests {
    /// Asks for more while it is being told, as AsyncHTTPClient does if its reader is quick.
    private final class EagerReader: ChannelInboundHandler {
        typealias InboundIn = HTTPClientResponsePart

        private(set) var error: (any Error)?

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            context.read()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            self.error = error
        }
    }

    @Test("loses its patience also if more was asked for before all of a piece had been told")
    func eagerReader() throws {
        let (channel, exchanges, reader) = (EmbeddedChannel(), ExchangeTable(), EagerReader())
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")
        let number = exchanges.add(UpstreamExchange(head: head) { _ in })
        let handler = UpstreamConnectionHandler(exchanges: exchanges, timeout: .seconds(10))
        try channel.pipeline.syncOperations.addHandlers([handler, reader])
        channel.pipeline.read()

        var standIn = head
        standIn.headers.add(name: UpstreamConnectionHandler.numberField, value: "\(number)")
        try channel.writeOutbound(HTTPClientRequestPart.head(standIn))
        try channel.writeOutbound(HTTPClientRequestPart.end(nil))
        channel.embeddedEventLoop.advanceTime(by: .seconds(9))
        try channel.writeInbound(HTTPClientResponsePart.head(HTTPResponseHead(version: .http1_1, status: .ok)))

        channel.embeddedEventLoop.advanceTime(by: .seconds(9))
        #expect(reader.error == nil)
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(reader.error is UpstreamTimedOut)
        _ = try channel.finish()
    }

    @Test("loses its patience also if it was asked to read before anybody looked")
    func earlyRead() throws {
        let (channel, exchanges, reader) = (EmbeddedChannel(), ExchangeTable(), EagerReader())
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")
        let number = exchanges.add(UpstreamExchange(head: head) { _ in })
        let handler = UpstreamConnectionHandler(exchanges: exchanges, timeout: .seconds(10))
        try channel.pipeline.syncOperations.addHandlers([handler, reader])

        var standIn = head
        standIn.headers.add(name: UpstreamConnectionHandler.numberField, value: "\(number)")
        try channel.writeOutbound(HTTPClientRequestPart.head(standIn))
        try channel.writeOutbound(HTTPClientRequestPart.end(nil))
        channel.embeddedEventLoop.advanceTime(by: .seconds(9))
        #expect(reader.error == nil)
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(reader.error is UpstreamTimedOut)
        _ = try channel.finish()
    }

    @Test("sends nothing of an exchange that was given up, neither its head nor its body")
    func givenUp() throws {
        let (channel, exchanges) = (EmbeddedChannel(), ExchangeTable())
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/")
        let exchange = UpstreamExchange(head: head) { _ in }
        let number = exchanges.add(exchange)
        try channel.pipeline.syncOperations.addHandler(
            UpstreamConnectionHandler(exchanges: exchanges, timeout: .seconds(10)))
        exchange.abandon()

        var standIn = head
        standIn.headers.add(name: UpstreamConnectionHandler.numberField, value: "\(number)")
        channel.write(HTTPClientRequestPart.head(standIn), promise: nil)
        channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(string: "GET /hidden"))), promise: nil)
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        channel.embeddedEventLoop.run()
        #expect(try channel.readOutbound(as: HTTPClientRequestPart.self) == nil)
        #expect(!exchange.isSent)
        #expect(!channel.isActive)
    }
}
