import HTTPTypes
import NIOCore
import NIOHTTP1

/// A connection of a client that speaks HTTP/1: behind SwiftNIO's request decoder, and in front of the socket.
///
/// Responses are written as bytes; there is no encoder. Requests that come before the response to the one before has ended
/// wait here, and as long as some do, nothing is read.
final class HTTP1Connection: ChannelDuplexHandler, RemovableChannelHandler, ClientStream, Flushing, Swept {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Part {
        case message(HTTPServerRequestPart)
        case failure(ProxyFailure)
    }

    let address: ClientAddress
    private let channel: any Channel
    private let loop: LoopState
    private let decoder: ByteToMessageHandler<HTTPRequestDecoder>
    private var context: ChannelHandlerContext?
    private var queue = CircularBuffer<Part>(initialCapacity: 2)
    private var request: OpenRequest?
    private var isAdvancing = false
    /// What follows is not read: the connection ends with the present response.
    private var isReadingEnded = false
    private var isInputClosed = false
    private var isOutputClosed = false
    private var isTunnel = false

    private var output = OutputBuffer()
    private var written = 0
    private var isReadHeld = false
    private var isReadWanted = false
    private var timeouts: ClientTimeouts

    init(_ channel: any Channel, on loop: LoopState, isSecure: Bool, decoder: ByteToMessageHandler<HTTPRequestDecoder>)
    {
        self.channel = channel
        self.loop = loop
        self.decoder = decoder
        self.address = ClientAddress(channel.remoteAddress, isSecure: isSecure)
        self.timeouts = ClientTimeouts(loop.timeouts, minimumRate: loop.limits.minimumBodyRate)
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isTunnel else { return context.fireChannelRead(data) }
        self.take(.message(self.unwrapInboundIn(data)))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Of a connection that was closed in the middle of a request, the decoder reports an error to nobody.
        guard self.channel.isActive else { return }
        guard let error = error as? HTTPParserError else { return self.close() }
        switch error {
        case .headerOverflow: self.take(.failure(.headerTooLarge))
        case .invalidMethod: self.take(.failure(.notSupported))
        default: self.take(.failure(.badRequest))
        }
    }

    private func take(_ part: Part) {
        guard !self.isReadingEnded else { return }
        // A request waits for the end of the one before; the rest of one does not wait.
        guard self.queue.isEmpty, !(self.request?.isComplete ?? false) else { return self.queue.append(part) }
        self.process(part)
    }

    private func process(_ part: Part) {
        switch part {
        case .message(.head(let head)): self.begin(head)
        case .message(.body(let bytes)):
            self.timeouts.received(size: bytes.readableBytes)
            self.request?.process?.received(bytes)
        case .message(.end(let trailers)): self.endRequest(trailers)
        case .failure(let failure):
            self.isReadingEnded = true
            if self.request == nil { self.request = OpenRequest(nil, from: self.address) }
            self.request?.process?.clientLeft()
            self.refuse(failure)
        }
    }

    private func begin(_ head: HTTPRequestHead) {
        let request = OpenRequest(head, from: self.address)
        self.request = request
        self.timeouts.enter(.body)
        request.changes = self.loop.handler.responseChanges(to: head.method.rawValue) { head.headers.first(name: $0) }
        do {
            let screened = try self.loop.screen.screen(head)
            // The parser reads no further after a request to change the protocol.
            if screened.pausesParser { request.closes = true }
            let process = self.loop.process(screened, from: self)
            request.process = process
            process.start()
        } catch {
            self.isReadingEnded = true
            self.refuse(error)
        }
    }

    private func endRequest(_ trailers: HTTPHeaders?) {
        guard let request else { return }
        var screened: Trailers = []
        if let trailers {
            do {
                screened = try self.loop.screen.screen(trailers.map { ($0.name, $0.value) })
            } catch {
                return self.process(.failure(error))
            }
        }
        request.isComplete = true
        if request.closes { self.isReadingEnded = true }
        self.timeouts.enter(.responding)
        request.process?.requestEnded(screened)
        self.advance()
    }

    /// Goes on to the next request if this one is over.
    private func advance() {
        guard !self.isAdvancing else { return }
        self.isAdvancing = true
        defer {
            self.isAdvancing = false
            self.updateReading()
        }
        while let request, request.isResponseComplete {
            guard request.isComplete, !request.closes, !self.isReadingEnded else { return self.closeOutput() }
            self.request = nil
            self.timeouts.enter(.idle)
            while !(self.request?.isComplete ?? false), let part = self.queue.popFirst() { self.process(part) }
        }
        if self.request == nil, self.isInputClosed || self.loop.isDraining { self.closeOutput() }
    }

    // MARK: Responses

    var isWritable: Bool { self.channel.isWritable }

    func writeInterim(_ head: ResponseHead) {
        // HTTP/1.0 has none (RFC 9110, section 15.2).
        guard let request, !request.isHTTP10, !request.hasHead else { return }
        self.write { self.loop.responseWriter.write(head, isChunked: false, closes: false, date: "", to: &$0) }
    }

    func writeInterim(_ head: HTTPResponse) {
        guard let request, !request.isHTTP10, !request.hasHead else { return }
        self.write { $0.writeResponse(head, extra: []) }
    }

    func writeHead(_ head: ResponseHead) {
        guard let request else { return }
        self.prepare(request, status: head.status, hasLength: head.framing != .untilClose && head.framing != .chunked)
        self.write {
            self.loop.responseWriter.write(
                head, isChunked: request.isChunked, closes: request.closes, date: self.loop.date,
                changes: request.changes, to: &$0)
        }
    }

    func writeHead(_ head: HTTPResponse, length: Int?) {
        guard let request else { return }
        let status = head.status.code
        self.prepare(request, status: status, hasLength: length != nil)
        request.record.madeHead = head
        var extra: [(String, String)] = []
        if head.headerFields[.date] == nil { extra.append(("Date", self.loop.date)) }
        // Where there is none, the field speaks of the body that another request would get.
        if let length, request.hasBody { extra.append(("Content-Length", "\(length)")) }
        if request.isChunked { extra.append(("Transfer-Encoding", "chunked")) }
        if request.closes { extra.append(("Connection", "close")) }
        let ownsLength = !request.hasBody && status != 204
        self.write { $0.writeResponse(head, keepsLength: ownsLength, changes: request.changes, extra: extra) }
    }

    /// Decides how the end of the response is found (RFC 9112, section 6.3).
    private func prepare(_ request: OpenRequest, status: Int, hasLength: Bool) {
        request.hasHead = true
        request.record.status = status
        request.record.end = .now()
        guard status != 101 else { return }
        request.hasBody = !request.isHead && status != 204 && status != 304
        request.isChunked = request.hasBody && !hasLength && !request.isHTTP10
        // The client may go on sending a body that is not needed any more.
        let isCut = !request.isComplete || self.isInputClosed || self.loop.isDraining
        request.closes = request.closes || isCut || (request.hasBody && !hasLength && !request.isChunked)
    }

    func writeBody(_ bytes: ByteBuffer) {
        guard let request, request.hasBody || self.isTunnel, bytes.readableBytes > 0 else { return }
        request.record.bodySize += bytes.readableBytes
        if request.isChunked { self.write { $0.writeChunkStart(size: bytes.readableBytes) } }
        if OutputBuffer.isLarge(bytes) {
            if let output = self.output.take() { self.send(output) }
            self.setFlushDue()
            self.send(bytes)
        } else {
            self.write { $0.writeImmutableBuffer(bytes) }
        }
        if request.isChunked { self.write { $0.writeStaticString("\r\n") } }
    }

    func writeEnd(_ trailers: Trailers) {
        guard let request, !request.isResponseComplete else { return }
        if self.isTunnel { return self.closeOutput() }
        if request.isChunked { self.write { $0.writeLastChunk(trailers: trailers) } }
        self.endResponse()
    }

    private func endResponse() {
        guard let request else { return }
        request.isResponseComplete = true
        request.process = nil
        self.isReadHeld = false
        self.report(request)
        self.advance()
    }

    /// Reports how a request ended, once.
    private func report(_ request: OpenRequest) {
        guard !request.isReported else { return }
        request.isReported = true
        self.loop.handler.ended(request.record)
    }

    func refuse(_ failure: ProxyFailure) {
        guard let request, !request.hasHead else { return self.cut() }
        // The rest of the request is dropped.
        if !request.isComplete { request.closes = true }
        let response = self.loop.handler.problem(failure)
        self.writeHead(response.head, length: response.body.count)
        self.writeBody(ByteBuffer(bytes: response.body))
        self.endResponse()
    }

    func cut() {
        self.request?.process = nil
        if let request { self.report(request) }
        self.close()
    }

    // MARK: Writing

    private func write(_ body: (inout ByteBuffer) -> Void) {
        self.setFlushDue()
        self.output.write(body)
    }

    private func setFlushDue() {
        if self.output.begin() { self.loop.endOfTick.flush(self) }
    }

    private func send(_ bytes: ByteBuffer) {
        self.written += bytes.readableBytes
        self.context?.write(self.wrapOutboundOut(bytes), promise: nil)
    }

    func flush() {
        guard self.output.isFlushDue, let context else { return }
        if let output = self.output.end() {
            self.written += output.readableBytes
            context.writeAndFlush(self.wrapOutboundOut(output), promise: nil)
        } else {
            context.flush()
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.request?.process?.clientWritabilityChanged()
        context.fireChannelWritabilityChanged()
    }

    // MARK: Reading

    func holdReading(_ isHeld: Bool) {
        self.isReadHeld = isHeld
        self.updateReading()
    }

    /// Whether what the client sends waits in the system, and not here.
    private var holdsReading: Bool { self.isReadHeld || !self.queue.isEmpty }

    private func updateReading() {
        guard self.isReadWanted, !self.holdsReading else { return }
        self.isReadWanted = false
        self.context?.read()
    }

    func read(context: ChannelHandlerContext) {
        guard !self.holdsReading else {
            self.isReadWanted = true
            return
        }
        context.read()
    }

    // MARK: A changed protocol

    func startTunnel() {
        self.isTunnel = true
        self.isReadingEnded = true
        self.timeouts.enter(.responding)
        guard let context else { return }
        let pipeline = context.pipeline.syncOperations
        do {
            let tunnel = TunnelHandler { [weak self] in self?.request?.process?.received($0) }
            try pipeline.addHandler(tunnel, position: .after(self))
            // What it has read beyond the request comes through here.
            pipeline.removeHandler(self.decoder, promise: nil)
        } catch {
            self.close()
        }
    }

    // MARK: The life of the connection

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.loop.clients.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        self.loop.clients.remove(self)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed {
            self.isInputClosed = true
            self.isReadingEnded = self.isReadingEnded || self.queue.isEmpty
            if self.isOutputClosed { return self.close() }
            self.request?.process?.clientClosedItsSide()
            self.advance()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        let process = self.request?.process
        if let request { self.report(request) }
        self.request = nil
        self.queue.removeAll()
        self.isReadingEnded = true
        process?.clientLeft()
        context.fireChannelInactive()
    }

    private func close() {
        self.flush()
        self.channel.close(promise: nil)
    }

    /// Ends the connection after the last response.
    ///
    /// Not the whole of it: what is still on its way from the client would make the system throw the response away.
    ///
    /// - Parameter isUnused: Whether no response is on its way.
    private func closeOutput(isUnused: Bool = false) {
        guard !self.isOutputClosed else { return }
        self.isOutputClosed = true
        self.isReadingEnded = true
        if let request { self.report(request) }
        self.request = nil
        self.queue.removeAll()
        guard !self.isInputClosed else { return self.close() }
        self.timeouts.enter(.closing(isUnused ? self.loop.timeouts.linger : self.loop.timeouts.gap))
        self.flush()
        self.channel.close(mode: .output, promise: nil)
    }

    // MARK: Time

    func sweep(now: NIODeadline) {
        let untaken = (try? self.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        let isReading = !self.holdsReading && (self.request?.process?.isWaitingForClient ?? true)
        defer { self.written = 0 }
        if self.timeouts.isOver(now: now, isReading: isReading, written: self.written, untaken: untaken) {
            self.channel.closeAtOnce()
        }
    }

    func drain() {
        if self.request == nil { self.closeOutput(isUnused: true) }
    }

    func shutDown() {
        self.channel.closeAtOnce()
    }
}
