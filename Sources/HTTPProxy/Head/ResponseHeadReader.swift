import NIOCore

/// Reads the heads of responses: strictly, and of a bounded size.
struct ResponseHeadReader {
    private let maxSize: Int
    private let maxCount: Int
    /// How many bytes have been looked at without finding the end of the head.
    private var searched = 0

    init(maxSize: Int, maxCount: Int) {
        self.maxSize = maxSize
        self.maxCount = maxCount
    }

    /// Takes a head off the front of `buffer`; `nil` if more has to come.
    ///
    /// - Throws: ``MalformedMessage``.
    mutating func read(from buffer: inout ByteBuffer) throws(MalformedMessage) -> ResponseHead? {
        // A head that comes in many pieces is looked through once, not with each of them.
        if self.searched > 0, !self.findsEnd(in: buffer) { return nil }
        guard let head = try self.parse(buffer) else {
            guard buffer.readableBytes <= self.maxSize else { throw .headTooLarge }
            self.searched = buffer.readableBytes
            return nil
        }
        self.searched = 0
        buffer.moveReaderIndex(forwardBy: head.bytes.readableBytes)
        return head
    }

    private mutating func findsEnd(in buffer: ByteBuffer) -> Bool {
        let bytes = buffer.readableBytesUInt8Span
        var index = max(0, self.searched - 3)
        while index + 3 < bytes.count {
            let isEnd =
                bytes[index] == 13 && bytes[index + 1] == 10 && bytes[index + 2] == 13 && bytes[index + 3] == 10
            if isEnd { return true }
            index += 1
        }
        // Too large is found out by the parser.
        self.searched = bytes.count
        return bytes.count > self.maxSize
    }

    private func parse(_ buffer: ByteBuffer) throws(MalformedMessage) -> ResponseHead? {
        let bytes = buffer.readableBytesUInt8Span
        guard let statusEnd = try Self.lineEnd(in: bytes, from: 0) else { return nil }
        let (status, isHTTP11) = try Self.status(in: bytes, end: statusEnd)
        var fields: [ResponseHead.Field] = []
        fields.reserveCapacity(12)
        var position = statusEnd + 2
        while let end = try Self.lineEnd(in: bytes, from: position) {
            if end == position {
                guard end + 2 <= self.maxSize, fields.count <= self.maxCount else {
                    throw .headTooLarge
                }
                guard let head = buffer.getSlice(at: buffer.readerIndex, length: end + 2) else { return nil }
                return try ResponseHead(
                    bytes: head, status: status, statusText: 9..<statusEnd, fields: fields, isHTTP11: isHTTP11)
            }
            fields.append(try Self.field(in: bytes, from: position, to: end))
            position = end + 2
        }
        return nil
    }

    /// The index of the CR that ends a line; `nil` if it has not come.
    @inline(__always)
    private static func lineEnd(in bytes: Span<UInt8>, from start: Int) throws(MalformedMessage) -> Int? {
        var index = start
        while index < bytes.count {
            let byte = bytes[index]
            if byte == 13 {
                guard index + 1 < bytes.count else { return nil }
                guard bytes[index + 1] == 10 else { throw MalformedMessage("A CR without LF") }
                return index
            }
            guard byte.isFieldCharacter else { throw MalformedMessage("A control character in the head") }
            index += 1
        }
        return nil
    }

    private static func status(in bytes: Span<UInt8>, end: Int) throws(MalformedMessage) -> (Int, Bool) {
        guard end >= 12 else { throw MalformedMessage("No status line") }
        var index = 0
        for byte in "HTTP/1.".utf8 {
            guard bytes[index] == byte else { throw MalformedMessage("No status line") }
            index += 1
        }
        guard bytes[8] == 0x20, bytes[7] == 0x30 || bytes[7] == 0x31, end == 12 || bytes[12] == 0x20 else {
            throw MalformedMessage("No status line")
        }
        var status = 0
        for index in 9..<12 {
            guard (0x30...0x39).contains(bytes[index]) else { throw MalformedMessage("No status code") }
            status = status * 10 + Int(bytes[index] - 0x30)
        }
        guard status >= 100 else { throw MalformedMessage("A status code below 100") }
        return (status, bytes[7] == 0x31)
    }

    @inline(__always)
    private static func field(
        in bytes: Span<UInt8>, from start: Int, to end: Int
    ) throws(MalformedMessage) -> ResponseHead.Field {
        var nameEnd = start
        while nameEnd < end, bytes[nameEnd].isTokenCharacter { nameEnd += 1 }
        // Neither a space before the colon nor a folded line: readers differ about both.
        guard nameEnd > start, nameEnd < end, bytes[nameEnd] == UInt8(ascii: ":") else {
            throw MalformedMessage("A line that is no field")
        }
        var (valueStart, valueEnd) = (nameEnd + 1, end)
        while valueStart < end, bytes[valueStart] == 0x20 || bytes[valueStart] == 0x09 { valueStart += 1 }
        while valueEnd > valueStart, bytes[valueEnd - 1] == 0x20 || bytes[valueEnd - 1] == 0x09 { valueEnd -= 1 }
        return ResponseHead.Field(
            start: start, nameEnd: nameEnd, valueStart: valueStart, valueEnd: valueEnd, end: end + 2,
            kind: FieldKind(bytes, start..<nameEnd))
    }
}

extension ResponseHead {
    fileprivate init(
        bytes: ByteBuffer, status: Int, statusText: Range<Int>, fields: [Field], isHTTP11: Bool
    ) throws(MalformedMessage) {
        var (length, codings): (Int?, Int) = (nil, 0)
        var options: [String] = []
        let span = bytes.readableBytesUInt8Span
        for field in fields where field.kind != .other {
            let value = field.valueStart..<field.valueEnd
            switch field.kind {
            case .contentLength:
                // Also one that says the same twice: readers differ about it.
                guard length == nil, let number = Self.number(in: span, value) else {
                    throw MalformedMessage("The length of the body is in doubt")
                }
                length = number
            case .transferEncoding:
                codings += 1
                // There is no one here who can undo other codings than chunks.
                guard codings == 1, isHTTP11, Self.equals(span, value, "chunked") else {
                    throw MalformedMessage("A transfer coding that is not supported")
                }
            case .connection where !Self.equals(span, value, "keep-alive"):
                options += String(decoding: ByteBufferView(bytes)[value], as: UTF8.self).listElements
            default: break
            }
        }
        guard codings == 0 || length == nil else { throw MalformedMessage("A length besides chunks") }
        let framing: BodyFraming = codings > 0 ? .chunked : length.map { .length($0) } ?? .untilClose
        self.init(
            bytes: bytes, status: status, statusText: statusText, fields: fields, framing: framing,
            connectionOptions: options, isPersistent: isHTTP11 && !options.contains("close"))
    }

    /// A decimal number, of digits only.
    private static func number(in bytes: Span<UInt8>, _ range: Range<Int>) -> Int? {
        // More digits than any body has, or than an Int could hold.
        guard !range.isEmpty, range.count <= 18 else { return nil }
        var number = 0
        for index in range {
            guard (0x30...0x39).contains(bytes[index]) else { return nil }
            number = number * 10 + Int(bytes[index] - 0x30)
        }
        return number
    }

    /// Whether this is `lowercased`, apart from the case of letters.
    private static func equals(_ bytes: Span<UInt8>, _ range: Range<Int>, _ lowercased: String) -> Bool {
        guard range.count == lowercased.utf8.count else { return false }
        var index = range.lowerBound
        for byte in lowercased.utf8 {
            guard bytes[index].lowercasedASCII == byte else { return false }
            index += 1
        }
        return true
    }
}
