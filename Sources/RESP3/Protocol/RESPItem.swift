import NIOCore

/// One step of decoding: a value without parts, or the head of an aggregate.
enum RESPItem {
    case value(RESPValue)
    case aggregate(OpenAggregate)

    private static let types = Set("+-:,#(_$=!*%~>|".utf8)

    /// Reads one item.
    ///
    /// - Returns: `nil` if it is not complete yet; nothing has been read then.
    static func read(from buffer: inout ByteBuffer, limits: RESPLimits) throws(ProtocolViolation) -> RESPItem? {
        var rest = buffer
        guard let type = rest.readInteger(as: UInt8.self) else { return nil }
        // At once: another protocol may never send the end of a line.
        guard Self.types.contains(type) else {
            throw ProtocolViolation("A reply begins with a byte that stands for no type.")
        }
        guard let line = try rest.readLine(limit: limits.lineSize), let item = try Self.item(type, line, &rest, limits)
        else { return nil }
        buffer.moveReaderIndex(to: rest.readerIndex)
        return item
    }

    private static func item(
        _ type: UInt8, _ line: ByteBuffer, _ rest: inout ByteBuffer, _ limits: RESPLimits
    ) throws(ProtocolViolation) -> RESPItem? {
        switch type {
        case UInt8(ascii: "$"), UInt8(ascii: "="), UInt8(ascii: "!"):
            try Self.bulk(type, line, &rest, limits).map { .value($0) }
        case UInt8(ascii: "*"):
            line.isMinusOne ? .value(.null) : .aggregate(try Self.aggregate(.array, line, limits))
        case UInt8(ascii: "%"): .aggregate(try Self.aggregate(.map, line, limits))
        case UInt8(ascii: "~"): .aggregate(try Self.aggregate(.set, line, limits))
        case UInt8(ascii: ">"): .aggregate(try Self.aggregate(.push, line, limits))
        case UInt8(ascii: "|"): .aggregate(try Self.aggregate(.attribute, line, limits))
        default: .value(try Self.scalar(type, line))
        }
    }

    private static func scalar(_ type: UInt8, _ line: ByteBuffer) throws(ProtocolViolation) -> RESPValue {
        switch type {
        case UInt8(ascii: "+"): return .simpleString(line)
        case UInt8(ascii: "-"): return .error(ServerError(String(buffer: line)))
        case UInt8(ascii: ":"): return .integer(try line.integer())
        case UInt8(ascii: ","): return .double(try line.double())
        case UInt8(ascii: "#"): return .boolean(try line.boolean())
        case UInt8(ascii: "("): return .bigNumber(try line.bigNumber())
        default:
            guard line.readableBytes == 0 else { throw ProtocolViolation("A null has content.") }
            return .null
        }
    }

    /// Reads what follows the line of a string that announces its length.
    private static func bulk(
        _ type: UInt8, _ line: ByteBuffer, _ rest: inout ByteBuffer, _ limits: RESPLimits
    ) throws(ProtocolViolation) -> RESPValue? {
        if line.isMinusOne, type == UInt8(ascii: "$") { return .null }
        let length = try line.integer()
        guard 0...limits.bulkSize ~= length else {
            throw ProtocolViolation("The length of a string is negative or larger than \(limits.bulkSize).")
        }
        guard rest.readableBytes >= length + 2, let content = rest.readSlice(length: length) else { return nil }
        guard rest.readInteger(as: UInt16.self) == 0x0D0A else {
            throw ProtocolViolation("A string does not end where it says.")
        }
        switch type {
        case UInt8(ascii: "="): return try content.verbatimString()
        case UInt8(ascii: "!"): return .error(ServerError(String(buffer: content)))
        default: return .bulkString(content)
        }
    }

    private static func aggregate(
        _ kind: OpenAggregate.Kind, _ line: ByteBuffer, _ limits: RESPLimits
    ) throws(ProtocolViolation) -> OpenAggregate {
        let count = try line.integer()
        guard 0...limits.elements ~= count else {
            throw ProtocolViolation("An aggregate announces a negative number of elements or too many.")
        }
        return OpenAggregate(kind: kind, count: count)
    }
}
