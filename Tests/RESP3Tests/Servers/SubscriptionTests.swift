import RESP3
import RedisServerTesting
import TestSupport
import Testing

@Suite("Subscriptions", .timeLimit(.minutes(2)))
struct SubscriptionTests {
    /// Waits for one hint.
    private func hint(_ iterator: inout AsyncStream<Void>.Iterator) async -> Bool {
        await iterator.next(isolation: #isolation) != nil
    }

    private func subscribers(_ server: RedisServer, _ channel: String) async throws -> Int? {
        try await server.send(["PUBSUB", "NUMSUB", RedisArgument(channel)]).pairs?.first?.value.integer
    }

    @Test("hint when they are confirmed, and then at every message", arguments: RedisBinary.all)
    func messages(binary: RedisBinary) async throws {
        try await RedisServer.with(RedisServerOptions(binary)) { server in
            try await withClient(server.url()) { client in
                var hints = client.subscribe(to: "news").makeAsyncIterator()
                #expect(await self.hint(&hints))
                for _ in 0..<3 {
                    // Confirmed, so that the message has a receiver.
                    let receivers = try await client.send(["PUBLISH", "news", "x"])
                    #expect(receivers == .integer(1))
                    #expect(await self.hint(&hints))
                }
            }
        }
    }

    @Test("work in RESP2 too")
    func fallback() async throws {
        var options = RedisServerOptions()
        options.lines = ["rename-command HELLO \"\""]
        try await RedisServer.with(options) { server in
            try await withClient(server.url(), { $0.pingInterval = .seconds(1) }) { client in
                var hints = client.subscribe(to: "news").makeAsyncIterator()
                #expect(await self.hint(&hints))
                // Some pings later, it is still the same connection.
                try await eventually("pings were sent") {
                    let statistics = try await server.send(["INFO", "commandstats"]).string ?? ""
                    return statistics.firstMatch(of: /cmdstat_ping:calls=(\d+)/).map { Int($0.1) ?? 0 > 1 } ?? false
                }
                #expect(try await client.send(["PUBLISH", "news", "x"]) == .integer(1))
                #expect(await self.hint(&hints))
                let statistics = try await server.send(["INFO", "stats"]).string ?? ""
                #expect(statistics.contains("total_connections_received:3\r\n"))
            }
        }
    }

    @Test("share one connection, and one subscription for each channel")
    func sharing() async throws {
        try await RedisServer.with { server in
            try await withClient(server.url()) { client in
                var streams = (0..<50).map { client.subscribe(to: "channel\($0 % 5)") }
                for stream in streams {
                    var hints = stream.makeAsyncIterator()
                    #expect(await self.hint(&hints))
                }
                #expect(try await client.send(["PUBLISH", "channel0", "x"]) == .integer(1))
                let clients = try await server.send(["CLIENT", "LIST", "TYPE", "pubsub"]).string ?? ""
                #expect(clients.split(separator: "\n").count == 1)

                streams.removeLast(45)
                #expect(try await self.subscribers(server, "channel0") == 1)
                streams = []
                try await eventually("no client is subscribed") { try await self.subscribers(server, "channel0") == 0 }
            }
        }
    }

    @Test("end with the task that waits for them")
    func cancellation() async throws {
        try await RedisServer.with { server in
            try await withClient(server.url()) { client in
                let task = Task { for await _ in client.subscribe(to: "news") {} }
                try await eventually("it is subscribed") { try await self.subscribers(server, "news") == 1 }
                task.cancel()
                await task.value
                try await eventually("no client is subscribed") { try await self.subscribers(server, "news") == 0 }
            }
        }
    }

    @Test("keep no more than one hint for who is slow")
    func bounds() async throws {
        try await RedisServer.with { server in
            try await withClient(server.url()) { client in
                let stream = client.subscribe(to: "news")
                var hints = stream.makeAsyncIterator()
                #expect(await self.hint(&hints))
                for _ in 0..<100 { _ = try await client.send(["PUBLISH", "news", "x"]) }
                // The connection is in order: what was confirmed later was received later.
                var other = client.subscribe(to: "other").makeAsyncIterator()
                #expect(await self.hint(&other))
                #expect(await self.hint(&hints))
                let rest = Task { [hints] in
                    var hints = hints
                    var count = 0
                    while await hints.next(isolation: #isolation) != nil { count += 1 }
                    return count
                }
                await client.close()
                #expect(await rest.value == 0)
            }
        }
    }

    @Test("hint when the connection is lost, and when it is there again")
    func reconnect() async throws {
        try await RedisServer.with { server in
            try await withClient(server.url()) { client in
                var hints = client.subscribe(to: "news").makeAsyncIterator()
                #expect(await self.hint(&hints))
                for _ in 0..<3 {
                    try await server.send(["CLIENT", "KILL", "TYPE", "pubsub"])
                    #expect(await self.hint(&hints))
                    try await eventually("it is subscribed") { try await self.subscribers(server, "news") == 1 }
                    _ = try await client.send(["PUBLISH", "news", "x"])
                    #expect(await self.hint(&hints))
                }
            }
        }
    }

    @Test("survive a server that was killed, and one that was halted")
    func faults() async throws {
        try await RedisServer.with { server in
            let configure: (inout RedisConfiguration) -> Void = {
                $0.pingInterval = .seconds(1)
                $0.connectTimeout = .seconds(1)
            }
            try await withClient(server.url(), configure) { client in
                var hints = client.subscribe(to: "news").makeAsyncIterator()
                #expect(await self.hint(&hints))
                try await server.kill()
                #expect(await self.hint(&hints))
                try await server.restart()
                try await eventually("it is subscribed") { try await self.subscribers(server, "news") == 1 }
                #expect(await self.hint(&hints))

                server.pause()
                // Only the ping without a reply shows that the connection is dead.
                #expect(await self.hint(&hints))
                server.resume()
                #expect(await self.hint(&hints))
            }
        }
    }

    @Test("end with the client, which closes its connections when it is deinitialized")
    func droppedStream() async throws {
        try await RedisServer.with { server in
            let configuration = RedisConfiguration(try RedisEndpoint(url: server.url()))
            var client: (any RedisClient)? = try configuration.makeClient()
            _ = try await client?.send(["PING"])
            var hints = client?.subscribe(to: "news").makeAsyncIterator()
            #expect(await hints?.next(isolation: #isolation) != nil)
            client = nil
            // A hint can come without cause; then comes the end.
            while await hints?.next(isolation: #isolation) != nil {}
            try await eventually("only the administrator is connected") {
                try await server.send(["CLIENT", "LIST"]).string?.split(separator: "\n").count == 1
            }
        }
    }

    @Test("end if the server refuses them, if there are too many, and with the client")
    func ending() async throws {
        var options = RedisServerOptions()
        options.users = ["limited on >p ~* resetchannels &public +@all"]
        try await RedisServer.with(options) { server in
            try await withClient(server.url("limited:p@"), { $0.maximumSubscriptions = 2 }) { client in
                var allowed = client.subscribe(to: "public").makeAsyncIterator()
                var refused = client.subscribe(to: "private").makeAsyncIterator()
                var surplus = client.subscribe(to: "third").makeAsyncIterator()
                #expect(await self.hint(&surplus) == false)
                #expect(await self.hint(&refused) == false)
                #expect(await self.hint(&allowed))
                await client.close()
                #expect(await self.hint(&allowed) == false)
                var late = client.subscribe(to: "public").makeAsyncIterator()
                #expect(await self.hint(&late) == false)
            }
        }
    }
}
