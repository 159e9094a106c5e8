import NIOCore
import RESP3
import RedisServerTesting
import Synchronization
import TestSupport
import Testing

@Suite("A primary behind sentinels", .timeLimit(.minutes(2)))
struct SentinelTests {
    /// Writes until it succeeds, and says where that was.
    private func port(of client: any RedisClient) async throws -> Int? {
        var port: Int?
        try await eventually("the primary takes writes", within: .seconds(60)) {
            let commands: [RedisCommand] = [["SET", "key", "value"], ["CONFIG", "GET", "port"]]
            let replies = try await client.send(commands, key: "key", deadline: .now() + .seconds(1))
            if replies[0].string == "OK" { port = replies[1].pairs?.first?.value.integer }
            return port != nil
        }
        return port
    }

    private func expect(_ client: any RedisClient, at port: Int) async throws {
        let actual = try await self.port(of: client)
        #expect(actual == port)
    }

    @Test("is found, and its successor when it was killed")
    func failover() async throws {
        try await SentinelGroup.with(replicas: 2) { group in
            try await withClient(group.url) { client in
                try await self.expect(client, at: group.primary.port)
                var hints = client.subscribe(to: "news").makeAsyncIterator()
                #expect(await hints.next(isolation: #isolation) != nil)

                try await group.primary.kill()
                let successor = try await self.port(of: client)
                #expect(group.replicas.contains { $0.port == successor })
                #expect(try await group.currentPort() == successor)

                // The subscription has moved too.
                try await eventually("the message has a receiver") {
                    try await client.send(["PUBLISH", "news", "x"]).integer == 1
                }
                #expect(await hints.next(isolation: #isolation) != nil)
            }
        }
    }

    @Test("that became a replica is left for its successor, without an error")
    func demotion() async throws {
        try await SentinelGroup.with { group in
            try await withClient(group.url) { client in
                try await self.expect(client, at: group.primary.port)
                _ = try await group.sentinels[0].send(["SENTINEL", "FAILOVER", "main"])
                try await eventually("the successor takes over") {
                    _ = try await client.send(["SET", "key", "value"])
                    return try await group.replicas[0].send(["ROLE"]).elements?.first?.string == "master"
                }
                // Also while the old one still takes itself for the primary, nothing fails but for a lost reply.
                try await eventually("the client is at the successor") {
                    try await self.port(of: client) == group.replicas[0].port
                }
            }
        }
    }

    @Test("that is halted is left when the sentinels announce its successor")
    func announcement() async throws {
        try await SentinelGroup.with { group in
            try await withClient(group.url, { $0.connectTimeout = .milliseconds(500) }) { client in
                try await self.expect(client, at: group.primary.port)
                group.primary.pause()
                try await self.expect(client, at: group.replicas[0].port)
                // It wakes up as a primary, and no client returns to it.
                group.primary.resume()
                try await self.expect(client, at: group.replicas[0].port)
            }
        }
    }

    @Test("is looked for where the sentinel says that has announced it, though another has not heard of it yet")
    func laggingSentinel() async throws {
        func primary(_ name: String) -> FakeServer.Replies {
            { words in
                switch words[0] {
                case "ROLE": "*1\r\n+master\r\n"
                case "WHO": "+\(name)\r\n"
                default: FakeServer.greeting(words)
                }
            }
        }
        func sentinel(_ port: @escaping @Sendable () -> Int?) -> FakeServer.Replies {
            { words in
                switch words[0] {
                case "SENTINEL": port().map { "*2\r\n+127.0.0.1\r\n+\($0)\r\n" } ?? "*-1\r\n"
                case "SUBSCRIBE": ">3\r\n+subscribe\r\n+\(words[1])\r\n:1\r\n"
                case "PING": "+PONG\r\n"
                default: FakeServer.greeting(words)
                }
            }
        }
        try await FakeServer.with(primary("old")) { old in
            try await FakeServer.with(primary("new")) { new in
                let oldPort = await old.port
                let known = Mutex<Int?>(nil)
                try await FakeServer.with(sentinel { known.withLock { $0 } }) { quick in
                    try await FakeServer.with(sentinel { oldPort }) { slow in
                        // The first one tells the news, but it was the second that replied.
                        let places = "127.0.0.1:\(await quick.port),127.0.0.1:\(await slow.port)"
                        try await withClient("redis+sentinel://\(places)/main") { client in
                            #expect(try await client.send(["WHO"]).string == "old")
                            try await quick.waitFor("SUBSCRIBE")
                            let newPort = await new.port
                            known.withLock { $0 = newPort }
                            await quick.publish(">3\r\n+message\r\n++switch-master\r\n+x\r\n")
                            try await eventually("the successor is used", within: .seconds(30)) {
                                try await client.send(["WHO"]).string == "new"
                            }
                        }
                    }
                }
            }
        }
    }

    @Test("is found with the sentinels' own password, and with some of them down")
    func password() async throws {
        try await SentinelGroup.with(replicas: 0, sentinelPassword: "hunter2") { group in
            try await withClient(group.url + "?sentinel_password=hunter3") { client in
                await #expect(throws: RedisError.refused("The server refused the user name or the password.")) {
                    try await client.send(["PING"])
                }
            }
            try await group.sentinels[0].kill()
            try await withClient(group.url + "?sentinel_password=hunter2") { client in
                try await self.expect(client, at: group.primary.port)
                #expect(try await client.primaries().count == 1)
            }
        }
    }

    @Test("that one sentinel does not know may still be known to one that is away")
    func unknownToSome() async throws {
        let ignorant: FakeServer.Replies = { $0[0] == "SENTINEL" ? "*-1\r\n" : FakeServer.greeting($0) }
        try await FakeServer.with(ignorant) { sentinel in
            for places in [
                "127.0.0.1:\(await sentinel.port),127.0.0.1:1", "127.0.0.1:1,127.0.0.1:\(await sentinel.port)",
            ] {
                try await withClient("redis+sentinel://\(places)/main", { $0.maximumConnectFailures = 1 }) { client in
                    let error = await #expect(throws: RedisError.self) { try await client.send(["PING"]) }
                    guard case .notSent(let sentence) = error else {
                        Issue.record("It is \(String(describing: error)).")
                        return
                    }
                    #expect(sentence.contains("No sentinel watches a primary named main."))
                }
            }
        }
    }

    @Test("that no sentinel knows is an error at once")
    func unknownName() async throws {
        try await SentinelGroup.with(replicas: 0) { group in
            try await withClient(group.url.replacing("/main", with: "/other")) { client in
                await #expect(throws: RedisError.refused("No sentinel watches a primary named other.")) {
                    try await client.send(["PING"])
                }
            }
        }
    }
}
