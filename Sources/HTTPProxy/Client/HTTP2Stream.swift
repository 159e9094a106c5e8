import HTTPTypes
import NIOCore
import NIOHPACK
import NIOHTTP1
import NIOHTTP2

/// A stream of a client that speaks HTTP/2: one request and its response.
final class HTTP2Stream: ChannelDuplexHandler, ClientStream, Flushing, Swept {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    /// How large a head may be, in bytes of its names and values, with room for their coding.
    ///
    /// SwiftNIO ends the connection of all streams with a head that is larger than a frame may be.
    private static let maxHeadSize = HTTP2WireHandler.toldFrameSize - 1_024
    private static let codingSize = 16

    /// How much of a body is written as one frame: of a client that takes it slowly, progress is seen frame by frame.
    private static let pieceSize = 8 * 1024

    let address: ClientAddress
    private let channel: any Channel
    private let loop: LoopState
    private let streams: HTTP2StreamCount
    /// Whether the client has opened it although there are too many already.
    private let isExcess: Bool
    private var isCounted = true
    private var context: ChannelHandlerContext?
    private var process: (any RequestProcess)?
    private var record: RequestRecord
    /// What the handler changes of the response.
    private var changes: FieldChanges?
    private var isHead = false
    private var hasRequest = false
    private var isRequestComplete = false
    private var hasHead = false
    private var hasBody = true
    private var isResponseComplete = false
    private var isReported = false

    /// The frame that was written last: it may turn out to be the last of all.
    private var held: HTTP2Frame.FramePayload?
    private var isFlushDue = false
    private var isReadHeld = false
    private var isReadWanted = false
    private var timeouts: ClientTimeouts
    /// How many bytes of bodies were written since the last look at the time, and how many have not been sent.
    private var written = 0
    private var unsent = 0

    init(_ channel: any Channel, among streams: HTTP2StreamCount, on loop: LoopState) {
        self.channel = channel
        self.loop = loop
        self.streams = streams
        self.isExcess = !streams.add()
        self.address = ClientAddress(channel.remoteAddress, isSecure: true)
        self.record = RequestRecord(method: nil, target: nil, client: self.address.text)
        self.timeouts = ClientTimeouts(loop.timeouts, minimumRate: loop.limits.minimumBodyRate)
    }

    // MARK: The request

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isExcess else { return self.refuseExcess() }
        switch self.unwrapInboundIn(data) {
        case .headers(let frame) where !self.hasRequest: self.begin(frame.headers, endsStream: frame.endStream)
        case .headers(let frame): self.endRequest(with: frame)
        case .data(let frame):
            guard case .byteBuffer(let bytes) = frame.data else { return }
            self.timeouts.received(size: bytes.readableBytes)
            if bytes.readableBytes > 0 { self.process?.received(bytes) }
            if frame.endStream { self.endRequest([]) }
        case .rstStream: self.leave()
        default: break
        }
    }

    /// It ends alone, and the client may try again (RFC 9113, section 5.1.2).
    private func refuseExcess() {
        guard !self.hasRequest else { return }
        self.hasRequest = true
        self.context?.writeAndFlush(self.wrapOutboundOut(.rstStream(.refusedStream)), promise: nil)
    }

    private func begin(_ headers: HPACKHeaders, endsStream: Bool) {
        self.hasRequest = true
        self.isHead = headers.first(name: ":method") == "HEAD"
        self.record = RequestRecord(
            method: headers.first(name: ":method"), target: headers.first(name: ":path"), client: self.address.text)
        self.timeouts.enter(.body)
        self.changes = self.loop.handler.responseChanges(to: self.record.method ?? "") { headers.first(name: $0) }
        if endsStream { self.isRequestComplete = true }
        do {
            let head = try self.loop.screen.screen(headers, endsStream: endsStream)
            let process = self.loop.process(head, from: self)
            self.process = process
            process.start()
            if endsStream { self.endRequest([]) }
        } catch {
            self.refuse(error)
        }
    }

    /// Ends the request with trailers.
    ///
    /// A second header block has to end the stream (RFC 9113, section 8.1).
    private func endRequest(with frame: HTTP2Frame.FramePayload.Headers) {
        guard !self.isRequestComplete else { return }
        do throws(ProxyFailure) {
            guard frame.endStream else { throw ProxyFailure.badRequest }
            self.endRequest(try self.loop.screen.screen(trailers: frame.headers))
        } catch {
            // Cancels the request at the upstream, which must not see it as complete.
            self.isRequestComplete = frame.endStream
            self.leave()
            self.refuse(error)
        }
    }

    private func endRequest(_ trailers: Trailers) {
        self.isRequestComplete = true
        self.timeouts.enter(.responding)
        self.process?.requestEnded(trailers)
    }

    private func leave() {
        let process = self.process
        self.process = nil
        process?.clientLeft()
    }

    // MARK: The response

    var isWritable: Bool { self.channel.isWritable }

    func writeInterim(_ head: ResponseHead) {
        let headers = self.headers(of: head)
        guard !self.hasHead, Self.fits(headers) else { return }
        self.write(.headers(.init(headers: headers)))
    }

    func writeInterim(_ head: HTTPResponse) {
        guard !self.hasHead else { return }
        self.write(.headers(.init(headers: self.headers(of: head, length: nil))))
    }

    func writeHead(_ head: ResponseHead) {
        var headers = self.headers(of: head, self.changes)
        if !headers.contains(name: "date") { headers.add(name: "date", value: self.loop.date) }
        self.writeHead(headers, status: head.status)
    }

    func writeHead(_ head: HTTPResponse, length: Int?) {
        self.hasBody = self.mayHaveBody(head.status.code)
        self.record.madeHead = head
        var headers = self.headers(of: head, length: length, self.changes)
        if !headers.contains(name: "date") { headers.add(name: "date", value: self.loop.date) }
        self.writeHead(headers, status: head.status.code)
    }

    private static func fits(_ headers: HPACKHeaders) -> Bool {
        headers.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + Self.codingSize } <= Self.maxHeadSize
    }

    private func writeHead(_ headers: HPACKHeaders, status: Int) {
        guard Self.fits(headers) else {
            self.leave()
            return self.refuse(.upstreamFailed)
        }
        self.hasHead = true
        self.hasBody = self.mayHaveBody(status)
        self.record.status = status
        self.record.end = .now()
        self.write(.headers(.init(headers: headers)))
    }

    private func mayHaveBody(_ status: Int) -> Bool { !self.isHead && status != 204 && status != 304 }

    private func headers(of head: ResponseHead, _ changes: FieldChanges? = nil) -> HPACKHeaders {
        var headers = HPACKHeaders([(":status", "\(head.status)")])
        let options = head.connectionOptions
        for field in head.fields where self.loop.responseWriter.passes(field, of: head, options, changes) {
            headers.add(
                name: String(decoding: head.name(of: field), as: UTF8.self).lowercased(),
                value: String(decoding: head.value(of: field), as: UTF8.self))
        }
        for (name, value) in changes?.added ?? [] { headers.add(name: name.lowercased(), value: value) }
        return headers
    }

    private func headers(
        of head: HTTPResponse, length: Int?, _ changes: FieldChanges? = nil
    ) -> HPACKHeaders {
        var headers = HPACKHeaders([(":status", "\(head.status.code)")])
        for field in head.headerFields {
            let kind = FieldKind(field.name.canonicalName.utf8)
            guard !kind.isHopByHop, kind != .contentLength || (!self.hasBody && head.status.code != 204) else {
                continue
            }
            guard changes?.passes(field.name.canonicalName.utf8) ?? true else { continue }
            headers.add(name: field.name.canonicalName, value: field.value)
        }
        for (name, value) in changes?.added ?? [] { headers.add(name: name.lowercased(), value: value) }
        if let length, self.hasBody { headers.add(name: "content-length", value: "\(length)") }
        return headers
    }

    func writeBody(_ bytes: ByteBuffer) {
        guard self.hasBody, bytes.readableBytes > 0 else { return }
        self.record.bodySize += bytes.readableBytes
        var bytes = bytes
        while let piece = bytes.readSlice(length: min(bytes.readableBytes, Self.pieceSize)), piece.readableBytes > 0 {
            self.write(.data(.init(data: .byteBuffer(piece))))
        }
    }

    func writeEnd(_ trailers: Trailers) {
        guard !self.isResponseComplete else { return }
        self.isResponseComplete = true
        self.process = nil
        if !trailers.isEmpty {
            let headers = HPACKHeaders(trailers.map { ($0.name.lowercased(), $0.value) })
            self.write(.headers(.init(headers: headers, endStream: true)))
        } else {
            switch self.held {
            case .headers(var frame):
                frame.endStream = true
                self.held = .headers(frame)
            case .data(var frame):
                frame.endStream = true
                self.held = .data(frame)
            default: self.write(.data(.init(data: .byteBuffer(ByteBuffer()), endStream: true)))
            }
        }
        self.report()
        // The rest of the request is dropped (RFC 9113, section 8.1).
        if !self.isRequestComplete { self.write(.rstStream(.noError)) }
    }

    func refuse(_ failure: ProxyFailure) {
        self.process = nil
        guard !self.hasHead else { return self.cut() }
        let response = self.loop.handler.problem(failure)
        self.writeHead(response.head, length: response.body.count)
        self.writeBody(ByteBuffer(bytes: response.body))
        self.writeEnd([])
    }

    func cut() {
        self.process = nil
        self.report()
        self.write(.rstStream(.internalError))
    }

    /// Reports how the request ended, once.
    private func report() {
        guard self.hasRequest, !self.isExcess, !self.isReported else { return }
        self.isReported = true
        self.loop.handler.ended(self.record)
    }

    func startTunnel() {}

    // MARK: Writing

    private func write(_ frame: HTTP2Frame.FramePayload) {
        if let held, let context { self.send(held, context) }
        self.held = frame
        guard !self.isFlushDue else { return }
        self.isFlushDue = true
        self.loop.endOfTick.flush(self)
    }

    func flush() {
        guard self.isFlushDue else { return }
        self.isFlushDue = false
        guard let context, let held else { return }
        self.held = nil
        self.send(held, context)
        context.flush()
    }

    private func send(_ frame: HTTP2Frame.FramePayload, _ context: ChannelHandlerContext) {
        guard case .data(let data) = frame, data.data.readableBytes > 0 else {
            return context.write(self.wrapOutboundOut(frame), promise: nil)
        }
        let size = data.data.readableBytes
        self.written += size
        self.unsent += size
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { _ in self.unsent -= size }
        context.write(self.wrapOutboundOut(frame), promise: promise)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.process?.clientWritabilityChanged()
        context.fireChannelWritabilityChanged()
    }

    // MARK: Reading

    func holdReading(_ isHeld: Bool) {
        self.isReadHeld = isHeld
        guard !isHeld, self.isReadWanted else { return }
        self.isReadWanted = false
        self.context?.read()
    }

    func read(context: ChannelHandlerContext) {
        guard !self.isReadHeld else {
            self.isReadWanted = true
            return
        }
        context.read()
    }

    // MARK: The life of the stream

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.loop.clients.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        self.loop.clients.remove(self)
        self.uncount()
    }

    private func uncount() {
        guard self.isCounted else { return }
        self.isCounted = false
        self.streams.remove()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.uncount()
        self.report()
        self.leave()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.leave()
        self.channel.close(promise: nil)
    }

    // MARK: Time

    func sweep(now: NIODeadline) {
        let isReading = !self.isReadHeld && (self.process?.isWaitingForClient ?? !self.isRequestComplete)
        defer { self.written = 0 }
        if self.timeouts.isOver(now: now, isReading: isReading, written: self.written, untaken: self.unsent) {
            self.shutDown()
        }
    }

    func drain() {}

    func shutDown() {
        self.channel.close(promise: nil)
    }
}
