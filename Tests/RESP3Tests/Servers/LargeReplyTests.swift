import NIOCore
import RESP3
import RedisServerTesting
import TestSupport
import Testing

@Suite("Large replies on a real server", .timeLimit(.minutes(3)))
struct LargeReplyTests {
    private static let value = String(repeating: "x", count: 1 << 20)

    @Test("Hundreds of large replies at the same time do not keep small calls waiting for all of them")
    func largeBesideSmall() async throws {
        try await RedisServer.with { server in
            try await server.send(["SET", "large", RedisArgument(Self.value)])
            try await withClient(server.url(), { $0.maximumLargeCallsInFlight = 4 }) { client in
                let large = Ledger()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<400 {
                        group.addTask {
                            var command: RedisCommand = ["GET", "large"]
                            command.expectsLargeReply = true
                            let count = try await client.send(command).bytes?.readableBytes
                            #expect(count == 1 << 20)
                            large.add()
                        }
                    }
                    try await eventually { large.count > 0 }
                    for _ in 0..<10 {
                        #expect(try await client.send(["PING"], timeout: .seconds(60)).string == "PONG")
                    }
                    // Ten calls behind a few large replies each, and not behind all of them.
                    #expect(large.count < 300)
                    try await group.waitForAll()
                }
            }
        }
    }

    @Test("A small call behind a large reply that is late fails alone; the connection and the others live")
    func lateBehindLarge() async throws {
        try await RedisServer.with { server in
            try await server.send(["SET", "large", RedisArgument(Self.value)])
            try await withClient(server.url()) { client in
                #expect(try await client.send(["PING"]).string == "PONG")
                let identifier = try await client.send(["CLIENT", "ID"]).integer
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<200 {
                        group.addTask {
                            let count = try await client.send(["GET", "large"]).bytes?.readableBytes
                            #expect(count == 1 << 20)
                        }
                    }
                    // A reply behind them is late because of them.
                    for _ in 0..<20 { _ = try? await client.send(["PING"], timeout: .milliseconds(1)) }
                    try await group.waitForAll()
                }
                #expect(try await client.send(["CLIENT", "ID"]).integer == identifier)
            }
        }
    }
}
