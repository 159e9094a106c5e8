import NIOCore

/// Takes a chunked body apart (RFC 9112, section 7.1): strictly, and of bounded lines.
struct ChunkedDecoder {
    enum Event {
        case bytes(ByteBuffer)
        case end(Trailers)
    }

    private enum State {
        case size
        case data(Int)
        case dataEnd
        case trailers
    }

    private static let maxLineSize = 4_096
    private static let maxTrailersSize = 64 * 1024
    private var state = State.size
    private var trailers: Trailers = []
    private var trailersSize = 0

    /// The next part of the body; `nil` if more has to come.
    ///
    /// - Throws: ``MalformedMessage``.
    mutating func next(from buffer: inout ByteBuffer) throws(MalformedMessage) -> Event? {
        while true {
            switch self.state {
            case .size:
                guard let line = try Self.line(from: &buffer) else { return nil }
                let size = try Self.size(in: line)
                self.state = size == 0 ? .trailers : .data(size)
            case .data(let remaining):
                guard let bytes = buffer.readSlice(length: min(remaining, buffer.readableBytes)),
                    bytes.readableBytes > 0
                else { return nil }
                let rest = remaining - bytes.readableBytes
                self.state = rest == 0 ? .dataEnd : .data(rest)
                return .bytes(bytes)
            case .dataEnd:
                guard buffer.readableBytes >= 2 else { return nil }
                guard buffer.readInteger(as: UInt16.self) == 0x0D0A else {
                    throw MalformedMessage("A chunk without its end")
                }
                self.state = .size
            case .trailers:
                guard let line = try Self.line(from: &buffer) else { return nil }
                guard line.readableBytes > 0 else { return .end(self.trailers) }
                try self.addTrailer(line)
            }
        }
    }

    /// Takes a line off the front, without its end.
    private static func line(from buffer: inout ByteBuffer) throws(MalformedMessage) -> ByteBuffer? {
        guard let length = try Self.lineLength(in: buffer) else { return nil }
        let line = buffer.readSlice(length: length)
        buffer.moveReaderIndex(forwardBy: 2)
        return line
    }

    private static func lineLength(in buffer: ByteBuffer) throws(MalformedMessage) -> Int? {
        let bytes = buffer.readableBytesUInt8Span
        var index = 0
        while index < bytes.count {
            if bytes[index] == 13 {
                guard index + 1 < bytes.count else { return nil }
                guard bytes[index + 1] == 10 else { throw MalformedMessage("A CR without LF") }
                return index
            }
            guard bytes[index].isFieldCharacter else { throw MalformedMessage("A control character in a line") }
            index += 1
        }
        guard index <= Self.maxLineSize else { throw MalformedMessage("A line that is too long") }
        return nil
    }

    private static func size(in line: ByteBuffer) throws(MalformedMessage) -> Int {
        let bytes = line.readableBytesUInt8Span
        var (size, index) = (0, 0)
        while index < bytes.count, let digit = bytes[index].hexDigit {
            // More digits than any body has, or than an Int could hold.
            guard index < 15 else { throw MalformedMessage("A chunk size that is too large") }
            size = size << 4 | digit
            index += 1
        }
        guard index > 0, index == bytes.count || bytes[index] == UInt8(ascii: ";") || bytes[index] == 0x20 else {
            throw MalformedMessage("No chunk size")
        }
        return size
    }

    private mutating func addTrailer(_ line: ByteBuffer) throws(MalformedMessage) {
        self.trailersSize += line.readableBytes
        let text = String(buffer: line)
        guard self.trailersSize <= Self.maxTrailersSize, let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            throw MalformedMessage("A trailer that is no field")
        }
        let name = text[..<colon]
        guard !name.isEmpty, name.utf8.allSatisfy(\.isTokenCharacter) else {
            throw MalformedMessage("A trailer that is no field")
        }
        let value = text[text.utf8.index(after: colon)...].trimmed
        guard value.utf8.allSatisfy(\.isFieldCharacter) else {
            throw MalformedMessage("A trailer with a control character")
        }
        self.trailers.append((String(name), value))
    }
}

/// The fields behind a chunked body.
typealias Trailers = [(name: String, value: String)]

extension Trailers {
    /// Those that may stand behind a body (RFC 9110, section 6.5.1): none of framing, routing, the connection,
    /// authentication, or the content.
    var forwardable: Trailers {
        self.filter { trailer in
            FieldKind(trailer.name.utf8) == .other
                && !Self.forbidden.contains { trailer.name.utf8.equalsLowercased($0) }
        }
    }

    private static let forbidden = [
        "authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "set-cookie",
        "content-encoding", "content-type", "content-range", "trailer",
    ]
}

extension UInt8 {
    fileprivate var hexDigit: Int? {
        switch self {
        case 0x30...0x39: Int(self) - 0x30
        case 0x41...0x46: Int(self) - 0x37
        case 0x61...0x66: Int(self) - 0x57
        default: nil
        }
    }
}
