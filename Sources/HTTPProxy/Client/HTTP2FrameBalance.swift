import NIOCore

/// Counts frames that bring something, and those that do not.
struct HTTP2FrameBalance {
    /// How many useless frames are permitted beyond ``creditPerFrame``: a client may send two WINDOW_UPDATEs for each DATA,
    /// one for the stream and one for the connection.
    private static let credit = 1_000
    private static let creditPerFrame = 10
    /// How many streams a client may cancel in how much time, before it is asked to begin anew.
    ///
    /// SwiftNIO ends its connection at ``maxResets``.
    private static let manyResets = 200
    static let maxResets = 400
    static let resetWindow = TimeAmount.seconds(30)

    private var useful = 0
    private var useless = 0
    private var resets = 0
    private var resetsSince = NIODeadline.uptimeNanoseconds(0)
    private var hasManyResets = false

    mutating func received(_ header: HTTP2FrameHeader) {
        switch header.kind {
        case HTTP2FrameHeader.Kind.data, HTTP2FrameHeader.Kind.headers: self.useful += 1
        case HTTP2FrameHeader.Kind.reset: self.countReset(.now())
        case HTTP2FrameHeader.Kind.windowUpdate, HTTP2FrameHeader.Kind.goAway: self.useless += 1
        // Frames of unknown types are ignored (RFC 9113, section 5.5).
        case let kind where kind > HTTP2FrameHeader.Kind.continuation: self.useless += 1
        default: break
        }
    }

    private mutating func countReset(_ now: NIODeadline) {
        if now - self.resetsSince > Self.resetWindow {
            self.resetsSince = now
            self.resets = 0
        }
        self.resets += 1
        if self.resets == Self.manyResets { self.hasManyResets = true }
    }

    /// - Parameter sent: How many frames have been sent to the client.
    /// - Returns: Whether the client has sent more than these explain.
    func isExceeded(sent: Int) -> Bool {
        self.useless > Self.credit + Self.creditPerFrame * (self.useful + sent)
    }

    /// - Returns: Whether the client has just cancelled many streams.
    mutating func takeManyResets() -> Bool {
        defer { self.hasManyResets = false }
        return self.hasManyResets
    }
}
