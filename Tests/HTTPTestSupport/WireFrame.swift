package import TestSupport

/// A frame of HTTP/2 as it stands on the wire.
package struct WireFrame: Hashable, Sendable {
    package enum Kind: UInt8, Sendable {
        case data, headers, priority, reset, settings, pushPromise, ping, goAway, windowUpdate, continuation
        /// One that nobody knows.
        case unknown = 0xee
    }

    /// What a connection begins with: the greeting, and settings.
    package static let greeting = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    /// The head of a GET.
    package static let get: [UInt8] = [0x82, 0x87, 0x84, 0x01, 8] + Array("api.test".utf8)

    package var kind: UInt8
    package var flags: UInt8
    package var stream: Int
    package var content: [UInt8]

    package init(_ kind: Kind, flags: UInt8 = 0, stream: Int = 0, _ content: [UInt8] = []) {
        self.kind = kind.rawValue
        self.flags = flags
        self.stream = stream
        self.content = content
    }

    /// One parameter of SETTINGS.
    package static func setting(_ parameter: UInt8, _ value: Int) -> [UInt8] {
        [0, parameter] + Self.bytes(of: value)
    }

    package static func bytes(of value: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    package var bytes: [UInt8] {
        Self.bytes(of: self.content.count).dropFirst() + [self.kind, self.flags] + Self.bytes(of: self.stream)
            + self.content
    }

    package func isKind(_ kind: Kind) -> Bool { self.kind == kind.rawValue }

    /// The error that a RST_STREAM or a GOAWAY tells of.
    package var errorCode: UInt8? {
        switch Kind(rawValue: self.kind) {
        case .reset: self.content.last
        case .goAway: self.content.dropFirst(7).first
        default: nil
        }
    }
}

extension RawConnection {
    package func write(_ frames: [WireFrame]) async throws {
        try await self.write(frames.flatMap(\.bytes))
    }

    /// Reads a frame; `nil` at the end of the connection.
    package func readFrame() async throws -> WireFrame? {
        let bytes = try await self.take { bytes in
            guard bytes.count >= 9 else { return nil }
            let size = bytes.prefix(3).reduce(9) { ($0 - 9) * 256 + Int($1) + 9 }
            return bytes.count >= size ? size : nil
        }
        guard let bytes, let kind = WireFrame.Kind(rawValue: bytes[3]) else { return nil }
        let stream = bytes[5..<9].reduce(0) { $0 * 256 + Int($1) }
        return WireFrame(kind, flags: bytes[4], stream: stream, Array(bytes.dropFirst(9)))
    }

    /// Reads frames until one comes that is wanted, or none.
    package func readFrame(where isWanted: (WireFrame) -> Bool) async throws -> WireFrame? {
        while let frame = try await self.readFrame() {
            if isWanted(frame) { return frame }
        }
        return nil
    }
}
