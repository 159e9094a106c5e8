import NIOCore

/// Writes the head that a client of HTTP/1 gets: byte for byte what the upstream sent, but for the fields that belong to a
/// connection, and those that say how the end of the body is found.
struct ResponseHeadWriter {
    /// The names of fields that never reach a client, in lower case.
    let privateFields: [String]

    /// - Parameters:
    ///   - head: The head that the upstream sent.
    ///   - isChunked: Whether a chunked body follows.
    ///   - closes: Whether the connection ends with the response.
    ///   - date: The present moment, asked for only if the response has no date.
    ///   - changes: What else differs.
    ///   - buffer: Where to write.
    func write(
        _ head: ResponseHead,
        isChunked: Bool,
        closes: Bool,
        date: @autoclosure () -> String,
        changes: FieldChanges? = nil,
        to buffer: inout ByteBuffer
    ) {
        let bytes = head.bytes.readableBytesSpan
        buffer.writeStaticString("HTTP/1.1 ")
        buffer.writeBytes(bytes.extracting(head.statusText))
        buffer.writeStaticString("\r\n")
        let options = head.connectionOptions
        // What passes is mostly in one piece.
        var (runStart, runEnd, hasDate) = (0, 0, false)
        for field in head.fields {
            if field.kind == .date { hasDate = true }
            guard self.passes(field, of: head, options, changes) else { continue }
            if field.start != runEnd {
                if runEnd > runStart { buffer.writeBytes(bytes.extracting(runStart..<runEnd)) }
                runStart = field.start
            }
            runEnd = field.end
        }
        if runEnd > runStart { buffer.writeBytes(bytes.extracting(runStart..<runEnd)) }
        if !hasDate, !head.isInterim { buffer.writeField("Date", date()) }
        if let changes { for (name, value) in changes.added { buffer.writeField(name, value) } }
        self.writeFraming(head, isChunked: isChunked, closes: closes, to: &buffer)
    }

    private func writeFraming(_ head: ResponseHead, isChunked: Bool, closes: Bool, to buffer: inout ByteBuffer) {
        if isChunked { buffer.writeStaticString("Transfer-Encoding: chunked\r\n") }
        if head.status == 101, let upgrade = head.values(of: .upgrade).first {
            buffer.writeField("Connection", "upgrade")
            buffer.writeField("Upgrade", upgrade)
        } else if closes {
            buffer.writeStaticString("Connection: close\r\n")
        }
        buffer.writeStaticString("\r\n")
    }

    /// The trailers to send to the client.
    func passed(_ trailers: Trailers) -> Trailers {
        trailers.forwardable.filter { trailer in
            !self.privateFields.contains { trailer.name.utf8.equalsLowercased($0) }
        }
    }

    /// Whether a field goes on to the client.
    @inline(__always)
    func passes(
        _ field: ResponseHead.Field, of head: ResponseHead, _ options: [String], _ changes: FieldChanges?
    ) -> Bool {
        if field.kind.isHopByHop { return false }
        // RFC 9110, section 8.6.
        if field.kind == .contentLength { return head.status >= 200 && head.status != 204 }
        guard field.kind == .other, !self.privateFields.isEmpty || !options.isEmpty || changes != nil else {
            return true
        }
        let name = head.name(of: field)
        return (changes?.passes(name) ?? true)
            && !self.privateFields.contains { $0.utf8.count == name.count && name.equalsLowercased($0) }
            && !options.contains { $0.utf8.count == name.count && name.equalsLowercased($0) }
    }
}
