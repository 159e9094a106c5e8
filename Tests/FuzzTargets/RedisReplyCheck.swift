import NIOCore

@testable import RESP3

/// Replies are the same in whatever pieces they come, and so is a violation of the protocol; what was written is read.
struct RedisReplyCheck {
    var read: @Sendable ([[UInt8]]) -> [String] = { Self.read($0) }

    private static let limits: RESPLimits = {
        var limits = RESPLimits()
        (limits.bulkSize, limits.replySize, limits.elements, limits.depth) = (512, 2_048, 64, 6)
        return limits
    }()

    func check(_ input: [UInt8]) throws {
        let whole = self.read([Array(input.dropFirst())])
        try Violation.unless(self.read(input.pieces) == whole, "In pieces, the replies are others")
        let bytes = Array(input.prefix(Self.limits.bulkSize))
        let text = Array("*2\r\n$\(bytes.count)\r\n".utf8) + bytes + Array("\r\n:-7\r\n#t\r\n".utf8)
        try Violation.unless(self.read([text]) == ["[\(bytes),-7]", "true"], "Other replies than what was written")
    }

    /// The values, and whether the protocol was violated.
    static func read(_ pieces: [[UInt8]]) -> [String] {
        var (decoder, buffer, seen) = (RESPDecoder(limits: Self.limits), ByteBuffer(), [String]())
        for piece in pieces {
            buffer.writeBytes(piece)
            do {
                while let value = try decoder.decode(buffer: &buffer) { seen.append(Self.text(of: value)) }
            } catch {
                return seen + ["\(error)"]
            }
        }
        return seen
    }

    /// NaN equals nothing, and the description of a value hides what is in it.
    private static func text(of value: RESPValue) -> String {
        switch value {
        case .null: "null"
        case .simpleString(let bytes), .bulkString(let bytes): "\(Array(buffer: bytes))"
        case .integer(let number): "\(number)"
        case .double(let number): "\(number)"
        case .boolean(let flag): "\(flag)"
        case .bigNumber(let digits): digits
        case .verbatimString(let format, let text): "\(format) \(Array(buffer: text))"
        case .array(let values): "[\(values.map(Self.text).joined(separator: ","))]"
        case .set(let values): "(\(values.map(Self.text).joined(separator: ",")))"
        case .push(let values): ">\(values.map(Self.text).joined(separator: ","))<"
        case .map(let pairs):
            "{\(pairs.map { "\(Self.text(of: $0.key)):\(Self.text(of: $0.value))" }.joined(separator: ","))}"
        case .error(let error): "\(error)"
        }
    }
}
