import NIOCore

/// Cuts heads that are larger than a frame into HEADERS and CONTINUATION (RFC 9113, section 6.10).
///
/// SwiftNIO's HTTP/2 writes each head as one frame, of whatever size; a client ends the connection for one that is larger
/// than it permits. This stands between it and the network, and looks at nothing but the starts of frames.
final class HTTP2ContinuationHandler: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What every client has to accept (RFC 9113, section 4.2).
    private static let maxFrameSize = 16_384
    private static let frameHeaderSize = 9
    private static let headersType: UInt8 = 1
    private static let continuationType: UInt8 = 9
    private static let endHeaders: UInt8 = 4

    /// How much of the last frame comes with later writes.
    private var payloadToCome: Int

    /// - Parameter prefaceSize: How many bytes come before the first frame: a server has none.
    init(prefaceSize: Int = 0) {
        self.payloadToCome = prefaceSize
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        var bytes = self.unwrapOutboundIn(data)
        guard let cut = self.cut(&bytes) else { return context.write(data, promise: promise) }
        context.write(self.wrapOutboundOut(cut), promise: promise)
    }

    /// - Returns: `nil` if nothing is to be changed.
    func cut(_ bytes: inout ByteBuffer) -> ByteBuffer? {
        var output: ByteBuffer?
        let all = bytes
        while bytes.readableBytes > 0 {
            if self.payloadToCome > 0 {
                let size = min(self.payloadToCome, bytes.readableBytes)
                self.payloadToCome -= size
                if let payload = bytes.readSlice(length: size) { output?.writeImmutableBuffer(payload) }
                continue
            }
            let position = bytes.readerIndex
            guard let (size, type, flags, stream) = Self.readHeader(&bytes) else { return nil }
            guard type == Self.headersType, size > Self.maxFrameSize, bytes.readableBytes >= size,
                var block = bytes.readSlice(length: size)
            else {
                self.payloadToCome = size
                if let header = all.getSlice(at: position, length: Self.frameHeaderSize) {
                    output?.writeImmutableBuffer(header)
                }
                continue
            }
            var frames = output ?? all.getSlice(at: all.readerIndex, length: position - all.readerIndex) ?? ByteBuffer()
            Self.write(&block, flags: flags, stream: stream, to: &frames)
            output = frames
        }
        return output
    }

    private static func readHeader(_ bytes: inout ByteBuffer) -> (size: Int, type: UInt8, flags: UInt8, stream: UInt32)?
    {
        guard let high = bytes.readInteger(as: UInt8.self), let low = bytes.readInteger(as: UInt16.self),
            let type = bytes.readInteger(as: UInt8.self), let flags = bytes.readInteger(as: UInt8.self),
            let stream = bytes.readInteger(as: UInt32.self)
        else { return nil }
        return (Int(high) << 16 | Int(low), type, flags, stream)
    }

    private static func write(_ block: inout ByteBuffer, flags: UInt8, stream: UInt32, to output: inout ByteBuffer) {
        var type = Self.headersType
        while let fragment = block.readSlice(length: min(Self.maxFrameSize, block.readableBytes)),
            fragment.readableBytes > 0
        {
            let isLast = block.readableBytes == 0
            // All flags but the one that says so belong to the first of them.
            let own = type == Self.headersType ? flags & ~Self.endHeaders : 0
            output.writeInteger(UInt8(truncatingIfNeeded: fragment.readableBytes >> 16))
            output.writeInteger(UInt16(truncatingIfNeeded: fragment.readableBytes))
            output.writeInteger(type)
            output.writeInteger(isLast ? own | Self.endHeaders : own)
            output.writeInteger(stream)
            output.writeImmutableBuffer(fragment)
            type = Self.continuationType
        }
    }
}
