package import NIOCore

/// Turns bytes into values, RESP2 and RESP3 alike.
///
/// What has been decoded of an unfinished value is kept on a stack of open aggregates, so that every byte is looked at
/// once however the input is split, and nesting takes no stack of the thread. After an error the decoder is of no
/// further use.
package struct RESPDecoder: NIOSingleStepByteToMessageDecoder {
    package typealias InboundOut = RESPValue

    private let limits: RESPLimits
    private var stack: [OpenAggregate] = []
    /// Of the value that is being decoded.
    private var elementCount = 0
    private var byteCount = 0

    package init(limits: RESPLimits) {
        self.limits = limits
    }

    /// The most bytes that may stay undecoded for want of more.
    var maximumBufferSize: Int { self.limits.bulkSize + self.limits.lineSize }

    package mutating func decode(buffer: inout ByteBuffer) throws -> RESPValue? {
        while let item = try self.readItem(&buffer) {
            guard let value = try self.place(item) else { continue }
            self.elementCount = 0
            self.byteCount = 0
            return value
        }
        return nil
    }

    package mutating func decodeLast(buffer: inout ByteBuffer, seenEOF: Bool) throws -> RESPValue? {
        try self.decode(buffer: &buffer)
    }

    private mutating func readItem(_ buffer: inout ByteBuffer) throws(ProtocolViolation) -> RESPItem? {
        let before = buffer.readerIndex
        let item = try RESPItem.read(from: &buffer, limits: self.limits)
        self.byteCount += buffer.readerIndex - before
        guard self.byteCount <= self.limits.replySize else {
            throw ProtocolViolation("The reply is larger than \(self.limits.replySize) bytes.")
        }
        return item
    }

    /// Puts an item where it belongs.
    ///
    /// - Returns: The whole value, if the item completed it.
    private mutating func place(_ item: RESPItem) throws(ProtocolViolation) -> RESPValue? {
        switch item {
        case .value(let value):
            return self.close(with: value)
        case .aggregate(let aggregate):
            try self.check(aggregate)
            self.stack.append(aggregate)
            return self.close(with: nil)
        }
    }

    private mutating func check(_ aggregate: OpenAggregate) throws(ProtocolViolation) {
        guard aggregate.remaining <= self.limits.elements - self.elementCount else {
            throw ProtocolViolation("The reply has more than \(self.limits.elements) elements.")
        }
        self.elementCount += aggregate.remaining
        guard self.stack.count < self.limits.depth else {
            throw ProtocolViolation("The reply is nested deeper than \(self.limits.depth) levels.")
        }
        guard aggregate.kind != .push || self.stack.isEmpty else {
            throw ProtocolViolation("A push is inside of a reply.")
        }
    }

    /// Adds a value to the innermost aggregate, and closes all that are complete with it.
    private mutating func close(with value: RESPValue?) -> RESPValue? {
        var value = value
        while var top = self.stack.popLast() {
            if let element = value { top.append(element) }
            guard top.remaining == 0 else {
                self.stack.append(top)
                return nil
            }
            // An attribute is about the value that follows it, and is in no one's place.
            value = top.value
            if value == nil { return nil }
        }
        return value
    }
}
