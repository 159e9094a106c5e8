import RESP3
import RedisServerTesting
import Testing

@Suite("A standalone server")
struct StandaloneTests {
    @Test("answers commands, and says when a script is unknown", arguments: RedisBinary.all)
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
            }
        }
    }
}
