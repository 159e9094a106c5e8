import NIOCore
import Testing

@testable import RESP3

@Suite("A command")
struct RedisCommandTests {
    @Test("is written as an array of bulk strings, and knows its size")
    func encoding() {
        let commands: [RedisCommand] = [
            ["GET", "key"],
            ["SET", "k\r\n", RedisArgument([0, 255, 13, 10]), "PX", -1],
            ["ECHO", RedisArgument(ByteBuffer(string: "")), RedisArgument(String(repeating: "x", count: 1000))],
            RedisCommand((0..<100).map { RedisArgument($0) }),
        ]
        for command in commands {
            var buffer = ByteBuffer()
            command.write(to: &buffer)
            #expect(buffer.readableBytes == command.encodedSize)
        }
        var buffer = ByteBuffer()
        commands[1].write(to: &buffer)
        let expected =
            Array("*5\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$4\r\n".utf8) + [0, 255, 13, 10]
            + Array("\r\n$2\r\nPX\r\n$2\r\n-1\r\n".utf8)
        #expect(Array(buffer.readableBytesView) == expected)
    }

    @Test("never shows its arguments")
    func redaction() {
        let command: RedisCommand = ["AUTH", "hunter2"]
        #expect(!"\(command) \(String(reflecting: command))".contains("hunter2"))
        #expect(!"\(command.arguments) \(command.arguments[1])".contains("hunter2"))
    }
}
