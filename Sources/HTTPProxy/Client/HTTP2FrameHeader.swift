import NIOCore

/// The nine bytes in front of each frame (RFC 9113, section 4.1).
struct HTTP2FrameHeader {
    static let size = 9

    enum Kind {
        static let data: UInt8 = 0
        static let headers: UInt8 = 1
        static let reset: UInt8 = 3
        static let settings: UInt8 = 4
        static let goAway: UInt8 = 7
        static let windowUpdate: UInt8 = 8
        static let continuation: UInt8 = 9
    }

    enum Flag {
        static let endStream: UInt8 = 1
        static let endHeaders: UInt8 = 4
        static let acknowledgement: UInt8 = 1
    }

    var length: Int
    var kind: UInt8
    var flags: UInt8
    var stream: UInt32
}

extension ByteBuffer {
    func http2FrameHeader(at index: Int) -> HTTP2FrameHeader? {
        guard
            let start = self.getInteger(at: index, as: UInt32.self),
            let flags = self.getInteger(at: index + 4, as: UInt8.self),
            let stream = self.getInteger(at: index + 5, as: UInt32.self)
        else { return nil }
        return HTTP2FrameHeader(
            length: Int(start >> 8), kind: UInt8(truncatingIfNeeded: start), flags: flags, stream: stream)
    }

    mutating func writeHTTP2FrameHeader(_ header: HTTP2FrameHeader) {
        self.writeInteger(UInt32(truncatingIfNeeded: header.length) << 8 | UInt32(header.kind))
        self.writeInteger(header.flags)
        self.writeInteger(header.stream)
    }

    /// Writes a frame of SETTINGS.
    mutating func writeHTTP2Settings(_ settings: [HTTP2SettingPair]) {
        self.writeHTTP2FrameHeader(
            HTTP2FrameHeader(
                length: settings.count * HTTP2SettingPair.size, kind: HTTP2FrameHeader.Kind.settings, flags: 0,
                stream: 0))
        for setting in settings { self.writeMultipleIntegers(setting.parameter, setting.value) }
    }

    /// The content of the frame of SETTINGS that begins at an index, of which all is here.
    func http2Settings(at index: Int, _ header: HTTP2FrameHeader) -> [HTTP2SettingPair] {
        let start = index + HTTP2FrameHeader.size
        return stride(from: start, to: start + header.length, by: HTTP2SettingPair.size).compactMap { index in
            guard
                let parameter = self.getInteger(at: index, as: UInt16.self),
                let value = self.getInteger(at: index + 2, as: UInt32.self)
            else { return nil }
            return HTTP2SettingPair(parameter: parameter, value: value)
        }
    }
}

/// One parameter of SETTINGS (RFC 9113, section 6.5.1).
struct HTTP2SettingPair {
    static let size = 6
    static let maxConcurrentStreams: UInt16 = 3
    static let maxFrameSize: UInt16 = 5

    var parameter: UInt16
    var value: UInt32
}
