import NIOCore

extension ByteBuffer {
    /// Writes the line before a chunk's bytes.
    mutating func writeChunkStart(size: Int) {
        self.writeString(String(size, radix: 16))
        self.writeStaticString("\r\n")
    }

    /// Writes the end of a chunked body.
    mutating func writeLastChunk(trailers: Trailers) {
        self.writeStaticString("0\r\n")
        for (name, value) in trailers { self.writeField(name, value) }
        self.writeStaticString("\r\n")
    }
}
