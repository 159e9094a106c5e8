import NIOCore

/// What a connection writes during a tick of its event loop, so that it leaves in one piece.
struct OutputBuffer {
    /// Bodies up to this size are copied behind what is there: a second write costs more.
    private static let copiedSize = 8 * 1024

    /// Whether the connection is to be flushed at the end of the tick.
    private(set) var isFlushDue = false
    private var bytes = ByteBuffer()

    /// Whether a body is better written by itself, after what is there.
    static func isLarge(_ body: ByteBuffer) -> Bool { body.readableBytes > self.copiedSize }

    /// Begins to write.
    ///
    /// - Returns: Whether it is the first time in this tick, so that a flush has to be asked for.
    mutating func begin() -> Bool {
        guard !self.isFlushDue else { return false }
        self.isFlushDue = true
        // What the last tick wrote has left; its room is used again.
        self.bytes.clear()
        return true
    }

    mutating func write(_ body: (inout ByteBuffer) -> Void) {
        body(&self.bytes)
    }

    /// What is there, to be written before something else is; `nil` if there is nothing.
    mutating func take() -> ByteBuffer? {
        guard self.isFlushDue, self.bytes.readableBytes > 0 else { return nil }
        defer { self.bytes = ByteBuffer() }
        return self.bytes
    }

    /// Ends the tick.
    ///
    /// - Returns: What is there, to be written and flushed; `nil` if there is nothing. Its room is used again.
    mutating func end() -> ByteBuffer? {
        self.isFlushDue = false
        return self.bytes.readableBytes > 0 ? self.bytes : nil
    }
}
