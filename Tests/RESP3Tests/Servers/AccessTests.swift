import InMemoryLogging
import Logging
import RESP3
import RedisServerTesting
import TestSupport
import Testing

@Suite("A server that does not let everybody in", .timeLimit(.minutes(2)))
struct AccessTests {
    private func options(_ binary: RedisBinary = .installed) -> RedisServerOptions {
        var options = RedisServerOptions(binary)
        options.password = "hunter2"
        options.users = ["reader on >p@ss ~public:* resetchannels &public:* +@all -@dangerous"]
        return options
    }

    private func error(_ url: String, _ command: RedisCommand = ["PING"]) async throws -> RedisError? {
        try await withClient(url) { client in
            do {
                _ = try await client.send(command)
                return nil
            } catch {
                #expect(!"\(error) \(String(reflecting: error))".contains("hunter"))
                return error as? RedisError
            }
        }
    }

    @Test("lets in who has the right name and password", arguments: RedisBinary.all)
    func lettingIn(binary: RedisBinary) async throws {
        try await RedisServer.with(self.options(binary)) { server in
            let anonymous = try await self.error(server.url())
            #expect(anonymous == .refused("The server asks for a password, and none is set."))
            #expect(try await self.error(server.url(":hunter2@")) == nil)
            #expect(try await self.error(server.url("default:hunter2@")) == nil)
            #expect(try await self.error(server.url("reader:p%40ss@"), ["GET", "public:x"]) == nil)
            let refused = RedisError.refused("The server refused the user name or the password.")
            #expect(try await self.error(server.url(":hunter3@")) == refused)
            #expect(try await self.error(server.url("reader:hunter2@")) == refused)
            #expect(try await self.error(server.url("nobody:hunter2@")) == refused)
        }
    }

    @Test("says what the user may not do")
    func permissions() async throws {
        try await RedisServer.with(self.options()) { server in
            for command: RedisCommand in [["GET", "private"], ["CONFIG", "GET", "maxmemory"]] {
                guard case .server(let error) = try await self.error(server.url("reader:p%40ss@"), command) else {
                    Issue.record("It is allowed.")
                    continue
                }
                #expect(error.code == "NOPERM")
            }
        }
    }

    @Test("refuses a database that it does not have")
    func database() async throws {
        try await RedisServer.with { server in
            guard case .refused(let sentence) = try await self.error(server.url() + "/99") else {
                Issue.record("It is not refused.")
                return
            }
            #expect(sentence.contains("database 99"))
        }
    }

    @Test("lets in again once the password is right, without a restart of the client")
    func correction() async throws {
        try await RedisServer.with(self.options()) { server in
            try await withClient(server.url(":later@")) { client in
                await #expect(throws: RedisError.self) { try await client.send(["PING"]) }
                try await server.send(["CONFIG", "SET", "requirepass", "later"])
                try await eventually("the client is let in") { try await client.send(["PING"]).string == "PONG" }
            }
        }
    }

    @Test("that only knows RESP2 is talked to in RESP2", arguments: [nil, "hunter2"])
    func fallback(password: String?) async throws {
        var options = RedisServerOptions()
        options.password = password
        options.lines = ["rename-command HELLO \"\""]
        try await RedisServer.with(options) { server in
            let url = server.url(password.map { ":\($0)@" } ?? "") + "/1"
            try await withClient(url, { $0.clientName = "old" }) { client in
                #expect(try await client.send(["GET", "nothing"]) == .null)
                #expect(try await client.send(["CLIENT", "GETNAME"]).string == "old")
                _ = try await client.send(["HSET", "hash", "field", "value"])
                let hash = try await client.send(["HGETALL", "hash"])
                #expect(hash.pairs == [RESPValue.Pair(hash.elements?[0] ?? .null, hash.elements?[1] ?? .null)])
                #expect(try await server.send(["INFO", "keyspace"]).string?.contains("db1:keys=1") == true)
            }
            if password != nil {
                guard case .refused = try await self.error(server.url(":hunter3@")) else {
                    Issue.record("A wrong password is not refused.")
                    return
                }
            }
        }
    }

    @Test("leaves no credential in any log line")
    func logs() async throws {
        let logs = InMemoryLogHandler()
        try await RedisServer.with(self.options()) { server in
            var logger = Logger(label: "test") { _ in logs }
            logger.logLevel = .trace
            for url in [server.url(":hunter2@"), server.url("hunter2:hunter3@")] {
                try await withClient(url, { $0.logger = logger }) { client in
                    _ = try? await client.send(["SET", "hunter4", "hunter5"])
                    try await server.send(["CLIENT", "KILL", "TYPE", "normal"])
                    _ = try? await client.send(["GET", "hunter4"])
                }
            }
        }
        #expect(!logs.entries.isEmpty)
        #expect(!logs.entries.contains { "\($0)".contains("hunter") })
    }
}
