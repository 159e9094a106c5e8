import NIOCore
import RESP3
import RedisServerTesting
import Testing

@Suite("A standalone server", .timeLimit(.minutes(2)))
struct StandaloneTests {
    @Test("replies commands and scripts", arguments: RedisBinary.all)
    func replies(binary: RedisBinary) async throws {
        try await RedisServer.with(RedisServerOptions(binary)) { server in
            try await withClient(server.url()) { client in
                #expect(try await client.send(["SET", "greeting", "hello"]).string == "OK")
                #expect(try await client.send(["GET", "greeting"]).string == "hello")
                #expect(try await client.send(["GET", "nothing"]) == .null)
                #expect(try await client.send(["INCR", "counter"]) == .integer(1))
                let script: RedisArgument = "return {KEYS[1], ARGV[1], redis.call('get', KEYS[1])}"
                let reply = try await client.send(["EVAL", script, 1, "greeting", "x"])
                #expect(reply.elements?.map(\.string) == ["greeting", "x", "hello"])
                let policy = try await client.send(["CONFIG", "GET", "maxmemory-policy"])
                #expect(policy.pairs?.first?.value.string == "noeviction")
            }
        }
    }

    @Test("says what is wrong by a code, also from inside of a script", arguments: RedisBinary.all)
    func errorCodes(binary: RedisBinary) async throws {
        var options = RedisServerOptions(binary)
        options.lines = ["maxmemory 4mb", "maxmemory-policy noeviction"]
        try await RedisServer.with(options) { server in
            try await withClient(server.url()) { client in
                #expect(await Self.errorCode(client, ["NO-SUCH-COMMAND", "hunter2"]) == "ERR")
                _ = try await client.send(["LPUSH", "list", "x"])
                #expect(await Self.errorCode(client, ["GET", "list"]) == "WRONGTYPE")
                let get: RedisArgument = "return redis.call('get', KEYS[1])"
                #expect(await Self.errorCode(client, ["EVAL", get, 1, "list"]) == "WRONGTYPE")

                let value = RedisArgument(String(repeating: "x", count: 500_000))
                var codes: Set<String?> = []
                for number in 0..<50 { codes.insert(await Self.errorCode(client, ["SET", "key\(number)", value])) }
                #expect(codes == [nil, "OOM"])
                let set: RedisArgument = "return redis.call('set', KEYS[1], ARGV[1])"
                #expect(await Self.errorCode(client, ["EVAL", set, 1, "scripted", value]) == "OOM")
                #expect(try await client.send(["GET", "scripted"]) == .null)
            }
        }
    }

    private static func errorCode(_ client: any RedisClient, _ command: RedisCommand) async -> String? {
        do {
            _ = try await client.send(command)
            return nil
        } catch {
            return Self.code(of: error)
        }
    }

    private static func code(of error: RedisError) -> String {
        guard case .server(let error) = error else { return "\(error)" }
        #expect(!"\(error)".contains("hunter2"))
        return error.code
    }

    @Test("replies ten thousand concurrent commands on one connection")
    func pipelining() async throws {
        try await RedisServer.with { server in
            try await withClient(server.url()) { client in
                try await withThrowingTaskGroup(of: Bool.self) { group in
                    for number in 0..<10_000 {
                        group.addTask { try await client.send(["ECHO", "\(number)"]).string == "\(number)" }
                    }
                    for try await isRight in group { #expect(isRight) }
                }
                let statistics = try await client.send(["INFO", "stats"]).string ?? ""
                #expect(statistics.contains("total_connections_received:1\r\n"))
            }
        }
    }

    @Test("replies large values, and many of them")
    func largeValues() async throws {
        try await RedisServer.with { server in
            try await withClient(server.url()) { client in
                let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<8 {
                        group.addTask {
                            _ = try await client.send(["SET", "large\(number)", RedisArgument(bytes)])
                            let reply = try await client.send(["GET", "large\(number)"])
                            #expect(reply.bytes == ByteBuffer(bytes: bytes))
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
    }

    @Test("runs commands that belong together on one connection, one after the other")
    func together() async throws {
        try await RedisServer.with { server in
            try await withClient(server.url(), { $0.connectionsPerNode = 2 }) { client in
                for _ in 0..<3 {
                    let replies = try await client.send(
                        [["CLIENT", "ID"], ["SET", "key", "value"], ["WAIT", 0, 100], ["CLIENT", "ID"]], key: nil,
                        deadline: .now() + .seconds(20))
                    #expect(replies.count == 4 && replies[0] == replies[3])
                    #expect(replies[1].string == "OK" && replies[2] == .integer(0))
                }
                #expect(try await client.primaries().count == 1)
                #expect(try await client.publishCommand() == "PUBLISH")
            }
        }
    }

    @Test("is reached by a Unix socket, with a database and a name")
    func unixSocket() async throws {
        try await RedisServer.with { server in
            try await withClient("redis+unix://\(server.socketPath)?db=2", { $0.clientName = "tester" }) { client in
                _ = try await client.send(["SET", "key", "value"])
                #expect(try await client.send(["CLIENT", "GETNAME"]).string == "tester")
                #expect(try await server.send(["INFO", "keyspace"]).string?.contains("db2:keys=1") == true)
            }
        }
    }
}
