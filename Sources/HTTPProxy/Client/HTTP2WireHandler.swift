import NIOCore

/// Stands between SwiftNIO's HTTP/2 and the socket, and does with the bytes of frames what SwiftNIO does not do.
///
/// - A head that is larger than a frame goes on in CONTINUATION. SwiftNIO writes each head as one frame, knows no other way,
///   and ends the connection of all streams with one that is larger than the frames that the client takes; most take
///   16,384 bytes. So it is told that the client takes larger ones, and what it writes is split here.
/// - SwiftNIO ends the connection if there is one stream too many, where only that stream should end (RFC 9113, section
///   5.1.2). So SwiftNIO gets a higher limit than the client, and ``HTTP2Stream`` refuses the excess streams.
/// - SwiftNIO limits PING, SETTINGS, PRIORITY, RST_STREAM, empty DATA and CONTINUATION, but not WINDOW_UPDATE, GOAWAY and
///   frames of unknown types. Those are counted here.
final class HTTP2WireHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What it tells those behind it.
    enum Event {
        /// The client has cancelled so many streams that it should begin anew.
        case manyResets
        /// SwiftNIO has ended the connection because of an error; it tells of that, and of errors of one stream, alike.
        case connectionError
    }

    /// What it is told: nothing that comes is of interest any more.
    struct IgnoreInput {}

    /// What it is told: the client should open no more streams, but those that it opens now are not lost.
    ///
    /// SwiftNIO, if it said so itself, would refuse them, and end the connection if one of them is cancelled.
    struct AnnounceEnd {}

    /// How large SwiftNIO may make a frame.
    static let toldFrameSize = 1 << 20
    /// By how many streams a client may be mistaken, before its connection ends.
    static let excessStreams = 1_000

    private let maxConcurrentStreams: Int
    private var reader = HTTP2FrameReader(toldFrameSize: HTTP2WireHandler.toldFrameSize)
    private var splitter = HTTP2FrameSplitter()
    private var balance = HTTP2FrameBalance()
    private var hasGreeted = false
    private var ignoresInput = false

    /// - Parameter maxConcurrentStreams: What the client is told.
    init(maxConcurrentStreams: Int) {
        self.maxConcurrentStreams = maxConcurrentStreams
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.ignoresInput else { return }
        let bytes = self.reader.read(self.unwrapInboundIn(data)) { self.balance.received($0) }
        self.splitter.maxFrameSize = self.reader.maxFrameSize
        if self.balance.isExceeded(sent: self.splitter.frameCount) {
            self.ignoresInput = true
            return context.fireErrorCaught(HTTP2Flood())
        }
        context.fireChannelRead(self.wrapInboundOut(bytes))
        if self.balance.takeManyResets() { context.fireUserInboundEventTriggered(Event.manyResets) }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        var bytes = self.unwrapOutboundIn(data)
        if !self.hasGreeted {
            self.hasGreeted = true
            bytes = self.announcingStreams(bytes)
        }
        guard bytes.readableBytes > 0 else { return context.write(self.wrapOutboundOut(bytes), promise: promise) }
        // SwiftNIO writes its frames one by one, and this one before it tells of the error.
        if bytes.endsConnection { context.fireUserInboundEventTriggered(Event.connectionError) }
        while let piece = self.splitter.next(from: &bytes) {
            context.write(self.wrapOutboundOut(piece), promise: bytes.readableBytes == 0 ? promise : nil)
        }
    }

    /// SwiftNIO's first frame are its settings.
    private func announcingStreams(_ frame: ByteBuffer) -> ByteBuffer {
        guard
            let header = frame.http2FrameHeader(at: frame.readerIndex), header.kind == HTTP2FrameHeader.Kind.settings
        else { return frame }
        var settings = frame.http2Settings(at: frame.readerIndex, header)
        for index in settings.indices where settings[index].parameter == HTTP2SettingPair.maxConcurrentStreams {
            settings[index].value = UInt32(clamping: self.maxConcurrentStreams)
        }
        var changed = ByteBuffer()
        changed.writeHTTP2Settings(settings)
        return changed
    }

    private func announceEnd(_ context: ChannelHandlerContext) {
        var frame = ByteBuffer()
        frame.writeHTTP2FrameHeader(
            HTTP2FrameHeader(length: 8, kind: HTTP2FrameHeader.Kind.goAway, flags: 0, stream: 0))
        frame.writeMultipleIntegers(UInt32(Int32.max), UInt32(0))
        context.writeAndFlush(self.wrapOutboundOut(frame), promise: nil)
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        if event is IgnoreInput { self.ignoresInput = true }
        if event is AnnounceEnd { self.announceEnd(context) }
        context.triggerUserOutboundEvent(event, promise: promise)
    }
}

extension ByteBuffer {
    /// Whether it is GOAWAY with an error.
    fileprivate var endsConnection: Bool {
        guard self.http2FrameHeader(at: self.readerIndex)?.kind == HTTP2FrameHeader.Kind.goAway else { return false }
        let errorCode: UInt32? = self.getInteger(at: self.readerIndex + HTTP2FrameHeader.size + 4)
        return errorCode != 0
    }
}

/// A client sends a lot that brings nothing.
struct HTTP2Flood: Error {}
