package import NIOCore

/// One argument of a command: bytes.
///
/// The description tells the size only.
package struct RedisArgument: Sendable {
    private enum Content {
        case string(String)
        case bytes([UInt8])
        case buffer(ByteBuffer)
    }

    private let content: Content

    /// The UTF-8 of a text.
    package init(_ string: String) {
        self.content = .string(string)
    }

    /// Some bytes.
    package init(_ bytes: [UInt8]) {
        self.content = .bytes(bytes)
    }

    /// What can be read from a buffer.
    package init(_ buffer: ByteBuffer) {
        self.content = .buffer(buffer)
    }

    /// The decimal digits of a number.
    package init(_ number: some BinaryInteger) {
        self.content = .string(String(number))
    }

    /// The number of bytes.
    package var count: Int {
        switch self.content {
        case .string(let string): string.utf8.count
        case .bytes(let bytes): bytes.count
        case .buffer(let buffer): buffer.readableBytes
        }
    }

    /// The bytes.
    package var bytes: [UInt8] {
        switch self.content {
        case .string(let string): Array(string.utf8)
        case .bytes(let bytes): bytes
        case .buffer(let buffer): Array(buffer.readableBytesView)
        }
    }

    func write(to buffer: inout ByteBuffer) {
        switch self.content {
        case .string(let string): buffer.writeString(string)
        case .bytes(let bytes): buffer.writeBytes(bytes)
        case .buffer(let content): buffer.writeImmutableBuffer(content)
        }
    }
}

extension RedisArgument: ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral {
    /// The UTF-8 of a text.
    package init(stringLiteral value: String) {
        self.init(value)
    }

    /// The decimal digits of a number.
    package init(integerLiteral value: Int) {
        self.init(value)
    }
}

extension RedisArgument: Hashable {
    /// Whether both are the same bytes.
    package static func == (one: RedisArgument, other: RedisArgument) -> Bool {
        one.count == other.count && one.bytes == other.bytes
    }

    /// Feeds the bytes.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(self.bytes)
    }
}

extension RedisArgument: CustomStringConvertible, CustomDebugStringConvertible {
    /// The size.
    package var description: String { "\(self.count) bytes" }

    /// The same as the description.
    package var debugDescription: String { self.description }
}
