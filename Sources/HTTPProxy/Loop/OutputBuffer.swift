import NIOCore

/// Collects what a connection writes during one tick of its event loop, so that it is sent by one write.
struct OutputBuffer {
    /// Bodies up to this size, in bytes, are copied into the buffer: a second write costs more.
    private static let copiedSize = 8 * 1024

    /// Whether the connection is to be flushed at the end of the tick.
    private(set) var isFlushDue = false
    private var bytes = ByteBuffer()

    /// Whether a body is too large to be copied, and is written by itself after the buffer.
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

    /// Takes the collected bytes, to be written before something else is.
    ///
    /// - Returns: The bytes; `nil` if there are none.
    mutating func take() -> ByteBuffer? {
        guard self.isFlushDue, self.bytes.readableBytes > 0 else { return nil }
        defer { self.bytes = ByteBuffer() }
        return self.bytes
    }

    /// Ends the tick.
    ///
    /// - Returns: The collected bytes, to be written and flushed; `nil` if there are none. The next tick reuses their memory.
    mutating func end() -> ByteBuffer? {
        self.isFlushDue = false
        return self.bytes.readableBytes > 0 ? self.bytes : nil
    }
}
