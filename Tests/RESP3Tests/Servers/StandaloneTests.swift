import NIOCore
import RESP3
import RedisServerTesting
import Testing

@Suite("A standalone server", .timeLimit(.minutes(2)))
struct StandaloneTests {
    @Test("answers commands and scripts", arguments: RedisBinary.all)
    func answers(binary: RedisBinary) async throws {
        try await RedisServer.with(RedisServerOptions(binary)) { server in
            try await withClient(server.url()) { client in
                #expect(try await client.send(["SET", "greeting", "hello"]).string == "OK")
                #expect(try await client.send(["GET", "greeting"]).string == "hello")
                #expect(try await client.send(["GET", "nothing"]) == .null)
                #expect(try await client.send(["INCR", "counter"]) == .integer(1))
                let script = Script("return {KEYS[1], ARGV[1], redis.call('get', KEYS[1])}")
                let reply = try await client.run(script, keys: ["greeting"], arguments: ["x"])
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
                let get = Script("return redis.call('get', KEYS[1])")
                #expect(await Self.errorCode(client, get, "list") == "WRONGTYPE")

                let value = RedisArgument(String(repeating: "x", count: 500_000))
                var codes: Set<String?> = []
                for number in 0..<50 { codes.insert(await Self.errorCode(client, ["SET", "key\(number)", value])) }
                #expect(codes == [nil, "OOM"])
                let set = Script("return redis.call('set', KEYS[1], ARGV[1])")
                #expect(await Self.errorCode(client, set, "scripted", value) == "OOM")
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

    private static func errorCode(
        _ client: any RedisClient, _ script: Script, _ key: RedisArgument, _ arguments: RedisArgument...
    ) async -> String? {
        do {
            _ = try await client.run(script, keys: [key], arguments: arguments)
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

    @Test("answers ten thousand concurrent commands on one connection, in far fewer flushes")
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

    @Test("answers large values, and many of them")
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

    @Test("is sent a script again whenever it has forgotten it")
    func scriptFlush() async throws {
        try await RedisServer.with { server in
            try await withClient(server.url()) { client in
                let script = Script("return redis.call('incr', KEYS[1])")
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<8 {
                        group.addTask {
                            for _ in 0..<200 { _ = try await client.run(script, keys: ["counter"]) }
                        }
                    }
                    group.addTask {
                        for _ in 0..<100 { _ = try await client.send(["SCRIPT", "FLUSH"]) }
                    }
                    try await group.waitForAll()
                }
                #expect(try await client.send(["GET", "counter"]).integer == 1600)
                #expect(try await client.send(["INFO", "errorstats"]).string?.contains("errorstat_NOSCRIPT") == true)
            }
        }
    }

    @Test("runs commands behind a script, on the same connection")
    func followedBy() async throws {
        try await RedisServer.with { server in
            try await withClient(server.url(), { $0.connectionsPerNode = 2 }) { client in
                let script = Script("return redis.call('set', KEYS[1], ARGV[1])")
                for _ in 0..<3 {
                    let replies = try await client.run(
                        script, keys: ["key"], arguments: ["value"], followedBy: [["WAIT", 0, 100], ["CLIENT", "ID"]])
                    #expect(replies.count == 3)
                    #expect(replies[0].string == "OK" && replies[1] == .integer(0))
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
