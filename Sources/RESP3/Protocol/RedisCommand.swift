package import NIOCore

/// A command and its arguments.
///
/// ```swift
/// let command: RedisCommand = ["SET", "greeting", "hello", "PX", 500]
/// ```
package struct RedisCommand: Hashable, Sendable, ExpressibleByArrayLiteral {
    /// The name of the command, and what follows it.
    package let arguments: [RedisArgument]

    /// Whether its reply is large, so that it is to travel on a connection for such.
    package var expectsLargeReply = false

    /// Creates a command.
    package init(_ arguments: [RedisArgument]) {
        self.arguments = arguments
    }

    /// Creates a command.
    package init(arrayLiteral elements: RedisArgument...) {
        self.init(elements)
    }

    private static let wait: RedisArgument = "WAIT"

    /// Whether the server sends no other reply on the connection until replicas have acknowledged what it has written.
    var isWait: Bool { self.arguments.first.map { $0.count == 4 && $0 == Self.wait } ?? false }

    /// An argument or a reply above this size is not to be between others.
    package static let largeSize = 16 << 10

    /// Whether it is to travel on a connection for large commands and replies.
    var isLarge: Bool { self.expectsLargeReply || self.arguments.contains { $0.count > Self.largeSize } }

    /// How many bytes ``write(to:)`` writes.
    var encodedSize: Int {
        self.arguments.reduce(Self.headSize(self.arguments.count)) { sum, argument in
            sum + Self.headSize(argument.count) + argument.count + 2
        }
    }

    /// The size of a type byte, a number that is not negative, and a line end.
    private static func headSize(_ number: Int) -> Int {
        var (rest, size) = (number, 4)
        while rest >= 10 { (rest, size) = (rest / 10, size + 1) }
        return size
    }

    /// Writes the command as an array of bulk strings, the one form that every server takes.
    package func write(to buffer: inout ByteBuffer) {
        Self.writeHead(UInt8(ascii: "*"), self.arguments.count, to: &buffer)
        for argument in self.arguments {
            Self.writeHead(UInt8(ascii: "$"), argument.count, to: &buffer)
            argument.write(to: &buffer)
            buffer.writeInteger(Self.lineEnd)
        }
    }

    private static let lineEnd: UInt16 = 0x0D0A

    /// Writes the digits of a number without a text in between: there is one for each argument.
    private static func writeHead(_ type: UInt8, _ number: Int, to buffer: inout ByteBuffer) {
        buffer.writeInteger(type)
        var power = 1
        while number / power >= 10 { power *= 10 }
        while power > 0 {
            buffer.writeInteger(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / power % 10))
            power /= 10
        }
        buffer.writeInteger(Self.lineEnd)
    }
}

extension RedisCommand: CustomStringConvertible, CustomDebugStringConvertible {
    /// The number of arguments.
    package var description: String { "command of \(self.arguments.count) arguments" }

    /// The same as the description.
    package var debugDescription: String { self.description }
}
