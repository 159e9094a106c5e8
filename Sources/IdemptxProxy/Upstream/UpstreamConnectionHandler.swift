import NIOCore
import NIOHTTP1

/// Sits between AsyncHTTPClient and the wire.
///
/// It puts the head of the client's request in the place of the stand-in's, tells the exchange what only a connection can
/// know (whether anything was sent, interim answers, trailers), and ends an exchange whose upstream keeps it waiting.
final class UpstreamConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias InboundOut = HTTPClientResponsePart
    typealias OutboundIn = HTTPClientRequestPart
    typealias OutboundOut = HTTPClientRequestPart

    /// The field of the stand-in's head that holds the number of the exchange.
    static let numberField = "exchange"

    private let exchanges: ExchangeTable
    private var exchange: UpstreamExchange?
    private var number: UInt64?
    private var isClosing = false
    private var patience: UpstreamPatience
    private var timer: DeadlineTimer?
    private var reads = ReadCycle()

    init(exchanges: ExchangeTable, timeout: TimeAmount) {
        self.exchanges = exchanges
        self.patience = UpstreamPatience(timeout: timeout)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.timer = DeadlineTimer(on: context.eventLoop)
        // A connection is asked to read when it is made, which may have been before there was anybody here to see it.
        self.patience.readingBegan(now: context.eventLoop.now)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.timer?.cancel()
        self.timer = nil
        self.exchange = nil
    }

    // MARK: To the upstream

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        // A body without its head would be taken for a request.
        guard !self.isClosing else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        switch self.unwrapOutboundIn(data) {
        case .head(let standIn):
            self.writeHead(of: standIn, context: context, promise: promise)
        case .body:
            context.write(data, promise: promise)
        case .end:
            self.patience.requestEnded(now: context.eventLoop.now)
            context.write(data, promise: promise)
        }
        self.setTimer(context)
    }

    private func writeHead(
        of standIn: HTTPRequestHead, context: ChannelHandlerContext, promise: EventLoopPromise<Void>?
    ) {
        guard
            let number = standIn.headers.first(name: Self.numberField).flatMap({ UInt64($0) }),
            let exchange = self.exchanges.remove(number),
            exchange.beginSending(abandon: self.abandonment(of: number, context))
        else {
            // It was given up in the moment in which a connection was found for it.
            self.isClosing = true
            promise?.fail(ChannelError.ioOnClosedChannel)
            // Not now, in the midst of what AsyncHTTPClient is doing with the connection.
            context.eventLoop.assumeIsolated().execute { context.close(promise: nil) }
            return
        }
        self.exchange = exchange
        self.number = number
        self.patience.requestBegan(now: context.eventLoop.now, isWritable: context.channel.isWritable)
        let promise = promise ?? context.eventLoop.makePromise()
        promise.futureResult.whenFailure { _ in exchange.sendingFailed() }
        context.write(self.wrapOutboundOut(.head(exchange.head)), promise: promise)
    }

    /// What breaks an exchange off, and none that follows it on the same connection.
    private func abandonment(of number: UInt64, _ context: ChannelHandlerContext) -> @Sendable () -> Void {
        let eventLoop = context.eventLoop
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: eventLoop)
        return {
            eventLoop.execute {
                let (handler, context) = bound.value
                guard handler.number == number, handler.exchange != nil else { return }
                context.fireErrorCaught(ClientLeft())
            }
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.patience.writabilityChanged(to: context.channel.isWritable, now: context.eventLoop.now)
        self.setTimer(context)
        context.fireChannelWritabilityChanged()
    }

    // MARK: From the upstream

    func read(context: ChannelHandlerContext) {
        self.patience.readingBegan(now: context.eventLoop.now)
        self.setTimer(context)
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if self.reads.partCame() { self.patience.readingEnded() }
        self.patience.answerCame(now: context.eventLoop.now)
        switch self.unwrapInboundIn(data) {
        case .head(let head) where (100..<200).contains(head.status.code) && head.status != .switchingProtocols:
            self.exchange?.received(interim: head)
        case .head(let head) where !(200...999).contains(head.status.code):
            // Nobody asked for another protocol, and below 100 there is nothing.
            context.fireErrorCaught(HTTPParserError.invalidStatus)
        case .head(let head) where !head.isProperlyFramed:
            context.fireErrorCaught(HTTPParserError.unexpectedContentLength)
        case .head, .body:
            context.fireChannelRead(data)
        case .end(let trailers):
            self.exchange?.received(trailers: trailers)
            self.exchange = nil
            self.patience.answerEnded()
            context.fireChannelRead(data)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if self.reads.completed() { self.patience.readingEnded() }
        context.fireChannelReadComplete()
    }

    // MARK: Patience

    private func setTimer(_ context: ChannelHandlerContext) {
        self.timer?.set(for: self.patience.deadline) { self.checkTime(context) }
    }

    private func checkTime(_ context: ChannelHandlerContext) {
        guard let deadline = self.patience.deadline else { return }
        guard deadline <= context.eventLoop.now else { return self.setTimer(context) }
        self.patience.answerEnded()
        context.fireErrorCaught(UpstreamTimedOut())
    }
}

extension HTTPResponseHead {
    /// Whether the end of the answer is found as both sides know.
    ///
    /// There is no one here who can undo other codings than chunks.
    fileprivate var isProperlyFramed: Bool {
        let codings = self.headers["transfer-encoding"]
        return codings.isEmpty || (codings.count == 1 && codings[0].withoutOptionalWhitespace.lowercased() == "chunked")
    }
}

/// Nobody waits for the answer any more.
private struct ClientLeft: Error {}
