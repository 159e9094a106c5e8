import NIOCore

/// Looks at the frames that a client sends, and changes what it says of the size of those that it takes.
struct HTTP2FrameReader {
    /// How long the greeting is, with which each connection begins (RFC 9113, section 3.4).
    private static let greetingSize = 24
    /// Frames that are larger are an error, and SwiftNIO's to find.
    private static let maxSettingsSize = 16_384 - HTTP2SettingPair.size

    /// The size of frames that the client is said to take.
    private let toldFrameSize: Int
    /// The size of frames that it takes.
    private(set) var maxFrameSize = HTTP2FrameSplitter.permittedSizes.lowerBound
    private var isTold = false
    /// How much of the present frame passes as it is.
    private var passing = Self.greetingSize
    /// The start of a frame that is to be looked at as a whole.
    private var pending = ByteBuffer()

    init(toldFrameSize: Int) {
        self.toldFrameSize = toldFrameSize
    }

    /// - Parameters:
    ///   - bytes: What has come.
    ///   - saw: Is called with each header of a frame.
    /// - Returns: The bytes for SwiftNIO.
    mutating func read(_ bytes: ByteBuffer, saw: (HTTP2FrameHeader) -> Void) -> ByteBuffer {
        var bytes = bytes
        if self.pending.readableBytes > 0 {
            self.pending.writeBuffer(&bytes)
            bytes = self.pending
            self.pending = ByteBuffer()
        }
        // Most of what comes passes without being copied.
        var index = bytes.readerIndex
        while index < bytes.writerIndex {
            if self.passing > 0 {
                let size = min(self.passing, bytes.writerIndex - index)
                self.passing -= size
                index += size
                continue
            }
            guard let header = bytes.http2FrameHeader(at: index) else { break }
            if header.isChangeable(upTo: Self.maxSettingsSize) {
                guard bytes.writerIndex - index >= HTTP2FrameHeader.size + header.length else { break }
                index = self.changeSettings(at: index, header, in: &bytes)
            } else {
                self.passing = HTTP2FrameHeader.size + header.length
            }
            saw(header)
        }
        let passed = bytes.readSlice(length: index - bytes.readerIndex) ?? ByteBuffer()
        self.pending = bytes.slice()
        return passed
    }

    /// - Returns: The index of what follows.
    private mutating func changeSettings(at index: Int, _ header: HTTP2FrameHeader, in bytes: inout ByteBuffer) -> Int {
        var settings = bytes.http2Settings(at: index, header)
        let sizes = settings.filter { $0.parameter == HTTP2SettingPair.maxFrameSize }.map { Int($0.value) }
        let end = index + HTTP2FrameHeader.size + header.length
        // One that is not permitted is an error, and SwiftNIO's to find.
        guard sizes.allSatisfy(HTTP2FrameSplitter.permittedSizes.contains) else { return end }
        self.maxFrameSize = sizes.last ?? self.maxFrameSize
        settings.removeAll { $0.parameter == HTTP2SettingPair.maxFrameSize }
        if !self.isTold {
            self.isTold = true
            settings.append(
                HTTP2SettingPair(parameter: HTTP2SettingPair.maxFrameSize, value: UInt32(self.toldFrameSize)))
        }
        var changed = ByteBuffer()
        changed.writeImmutableBuffer(
            bytes.getSlice(at: bytes.readerIndex, length: index - bytes.readerIndex) ?? ByteBuffer())
        changed.writeHTTP2Settings(settings)
        let next = changed.writerIndex
        changed.writeImmutableBuffer(bytes.getSlice(at: end, length: bytes.writerIndex - end) ?? ByteBuffer())
        bytes = changed
        return next
    }
}

extension HTTP2FrameHeader {
    fileprivate func isChangeable(upTo size: Int) -> Bool {
        self.kind == Kind.settings && self.stream == 0 && self.flags & Flag.acknowledgement == 0
            && self.length % HTTP2SettingPair.size == 0 && self.length <= size
    }
}
