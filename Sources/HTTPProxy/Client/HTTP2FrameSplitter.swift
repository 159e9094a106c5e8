import NIOCore

/// Splits outgoing frames that are larger than the client takes: HEADERS goes on in CONTINUATION (RFC 9113, section 6.10),
/// DATA in more of it.
///
/// It is given the bytes of one frame after the other, in as many pieces as they come.
struct HTTP2FrameSplitter {
    /// What every client takes, and how large it can make it (RFC 9113, section 4.2).
    static let permittedSizes = 16_384...16_777_215

    var maxFrameSize = Self.permittedSizes.lowerBound
    /// How many frames have begun.
    private(set) var frameCount = 0
    private var header = HTTP2FrameHeader(length: 0, kind: 0, flags: 0, stream: 0)
    /// How much of the frame's content is still to come, and how much of that goes into the frame that was begun last.
    private var contentLeft = 0
    private var fragmentLeft = 0

    /// Takes bytes off the front.
    ///
    /// - Returns: The next bytes to write; `nil` if there are none.
    mutating func next(from bytes: inout ByteBuffer) -> ByteBuffer? {
        guard bytes.readableBytes > 0 else { return nil }
        guard self.contentLeft == 0 else { return self.content(from: &bytes) }
        guard let header = bytes.http2FrameHeader(at: bytes.readerIndex) else {
            return bytes.readSlice(length: bytes.readableBytes)
        }
        guard header.length > self.maxFrameSize, header.isSplittable else { return self.whole(header, from: &bytes) }
        bytes.moveReaderIndex(forwardBy: HTTP2FrameHeader.size)
        self.header = header
        self.contentLeft = header.length
        return self.fragmentHeader(isFirst: true)
    }

    private mutating func whole(_ header: HTTP2FrameHeader, from bytes: inout ByteBuffer) -> ByteBuffer? {
        self.frameCount += 1
        let size = min(HTTP2FrameHeader.size + header.length, bytes.readableBytes)
        self.contentLeft = HTTP2FrameHeader.size + header.length - size
        self.fragmentLeft = self.contentLeft
        return bytes.readSlice(length: size)
    }

    private mutating func content(from bytes: inout ByteBuffer) -> ByteBuffer? {
        guard self.fragmentLeft > 0 else { return self.fragmentHeader(isFirst: false) }
        let size = min(self.fragmentLeft, bytes.readableBytes)
        self.fragmentLeft -= size
        self.contentLeft -= size
        return bytes.readSlice(length: size)
    }

    private mutating func fragmentHeader(isFirst: Bool) -> ByteBuffer {
        self.frameCount += 1
        self.fragmentLeft = min(self.contentLeft, self.maxFrameSize)
        let isLast = self.fragmentLeft == self.contentLeft
        var header = self.header
        header.length = self.fragmentLeft
        if header.kind == HTTP2FrameHeader.Kind.data {
            if !isLast { header.flags &= ~HTTP2FrameHeader.Flag.endStream }
        } else {
            // The end of the stream is said by the first of them, the end of the head by the last.
            if !isFirst {
                header.kind = HTTP2FrameHeader.Kind.continuation
                header.flags &= HTTP2FrameHeader.Flag.endHeaders
            }
            if !isLast { header.flags &= ~HTTP2FrameHeader.Flag.endHeaders }
        }
        var bytes = ByteBuffer()
        bytes.writeHTTP2FrameHeader(header)
        return bytes
    }
}

extension HTTP2FrameHeader {
    fileprivate var isSplittable: Bool { self.kind == Kind.data || self.kind == Kind.headers }
}
