package import NIOCore

/// A command and its arguments.
///
/// ```swift
/// let command: RedisCommand = ["SET", "greeting", "hello", "PX", 500]
/// ```
package struct RedisCommand: Hashable, Sendable, ExpressibleByArrayLiteral {
    /// The name of the command, and what follows it.
    package let arguments: [RedisArgument]

    /// Creates a command.
    package init(_ arguments: [RedisArgument]) {
        self.arguments = arguments
    }

    /// Creates a command.
    package init(arrayLiteral elements: RedisArgument...) {
        self.init(elements)
    }

    /// Whether the server answers nothing else on the connection until replicas have acknowledged what it has written.
    var isWait: Bool { self.arguments.first.map { $0.count == 4 && $0.bytes == Array("WAIT".utf8) } ?? false }

    /// How many bytes ``write(to:)`` writes.
    var encodedSize: Int {
        self.arguments.reduce(Self.headSize(self.arguments.count)) { sum, argument in
            sum + Self.headSize(argument.count) + argument.count + 2
        }
    }

    private static func headSize(_ number: Int) -> Int {
        String(number).utf8.count + 3
    }

    /// Writes the command as an array of bulk strings, the one form that every server takes.
    package func write(to buffer: inout ByteBuffer) {
        buffer.writeString("*\(self.arguments.count)\r\n")
        for argument in self.arguments {
            buffer.writeString("$\(argument.count)\r\n")
            argument.write(to: &buffer)
            buffer.writeStaticString("\r\n")
        }
    }
}

extension RedisCommand: CustomStringConvertible, CustomDebugStringConvertible {
    /// The number of arguments.
    package var description: String { "command of \(self.arguments.count) arguments" }

    /// The same as the description.
    package var debugDescription: String { self.description }
}
