public import NIOCore

@testable import RESP3

extension ByteBuffer: @retroactive ExpressibleByStringLiteral {
    /// The UTF-8 of a text.
    public init(stringLiteral value: String) {
        self.init(string: value)
    }
}

extension RESPValue: ExpressibleByStringLiteral {
    /// A simple string.
    package init(stringLiteral value: String) {
        self = .simpleString(ByteBuffer(string: value))
    }
}

extension RedisCommand {
    /// The arguments as text.
    var words: [String] { self.arguments.map { String(decoding: $0.bytes, as: UTF8.self) } }
}
