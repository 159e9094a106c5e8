import Dispatch
import NIOCore
import NIOPosix
import RedisServerTesting
import Synchronization
import TestSupport
import Testing

@testable import RESP3

@Suite("A connection", .timeLimit(.minutes(2)))
struct CommandConnectionTests {
    @Test("flushes once for all that is sent in one turn of the event loop")
    func oneFlush() async throws {
        try await FakeServer.with(FakeServer.replying(":1\r\n")) { server in
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            try await withConnection(server, on: group.next()) { connection in
                _ = try await connection.send([["PING"]], deadline: .now() + .seconds(20))
                let before = await connection.flushCount
                try await Crowd().send(1000, by: connection)
                #expect(await connection.flushCount == before + 1)
            }
            try await group.shutdownGracefully()
        }
    }

    @Test("does the handshake with a server of RESP2, and understands its replies")
    func fallback() async throws {
        let replies: FakeServer.Replies = { words in
            switch words[0] {
            case "HELLO": "-ERR unknown command `HELLO`, with args beginning with: `3`, `hunter2`, \r\n"
            case "GET": "$-1\r\n"
            default: "+OK\r\n"
            }
        }
        try await FakeServer.with(replies) { server in
            try await withClient(server.url.replacing("redis://", with: "redis://ann:hunter2@") + "/2") { client in
                let reply = try await client.send(["GET", "x"])
                #expect(reply == .null)
                let words = await server.commands.map { $0.joined(separator: " ") }
                #expect(words == ["HELLO 3 AUTH ann hunter2", "SELECT 2", "AUTH ann hunter2", "SELECT 2", "GET x"])
            }
        }
    }

    @Test("resumes a cancelled task at once, drops its reply, and lives on")
    func cancellation() async throws {
        try await FakeServer.with { server in
            try await withClient(server.url) { client in
                let task = Task { try await client.send(["SLOW"]) }
                try await server.waitFor("SLOW")
                task.cancel()
                await #expect(throws: RedisError.cancelled) { try await task.value }

                let other = Task { try await client.send(["NEXT"]) }
                try await server.waitFor("NEXT")
                await server.say(":1\r\n:2\r\n")
                #expect(try await other.value == .integer(2))
                #expect(await server.connectionCount == 1)
            }
        }
    }

    @Test("does not send the command of a task that was cancelled before")
    func cancelledBefore() async throws {
        try await FakeServer.with(FakeServer.replying("+OK\r\n")) { server in
            try await withClient(server.url) { client in
                _ = try await client.send(["FIRST"])
                let task = Task {
                    while !Task.isCancelled { await Task.yield() }
                    return try await client.send(["NEVER"])
                }
                task.cancel()
                await #expect(throws: RedisError.cancelled) { try await task.value }
                _ = try await client.send(["LAST"])
                #expect(await server.commands.map { $0[0] } == ["HELLO", "FIRST", "LAST"])
            }
        }
    }

    @Test("that gets no reply in time fails what was sent, and connects anew")
    func deadline() async throws {
        let replies: FakeServer.Replies = { words in
            words[0] == "HELLO" ? "_\r\n" : words[0] == "A" ? nil : "+OK\r\n"
        }
        try await FakeServer.with(replies) { server in
            try await withClient(server.url) { client in
                _ = try await client.send(["B"])
                await #expect(throws: RedisError.replyLost("The server did not reply in time.")) {
                    try await client.send(["A"], timeout: .seconds(1))
                }
                let reply = try await client.send(["B"])
                #expect(reply.string == "OK")
                #expect(await server.connectionCount == 2)
            }
        }
    }

    @Test("tells a lost reply from a command that was never sent")
    func lostReply() async throws {
        try await FakeServer.with { server in
            try await withClient(server.url) { client in
                let task = Task { try await client.send(["A"]) }
                try await server.waitFor("A")
                await server.hangUp()
                await #expect(throws: RedisError.replyLost("The server closed the connection.")) {
                    try await task.value
                }
            }
        }
        let hurry: (inout RedisConfiguration) -> Void = { $0.backoff.sleep = { _ in } }
        try await withClient("redis://127.0.0.1:1", hurry) { client in
            await #expect { try await client.send(["A"]) } throws: { error in
                guard case RedisError.notSent = error else { return false }
                return true
            }
        }
    }

    @Test(
        "ends the connection on another protocol, and on a reply without a command",
        arguments: ["X", "+OK\r\n", ">1\r\n+x\r\n"])
    func violations(input: String) async throws {
        try await FakeServer.with { server in
            try await withClient(server.url) { client in
                let first = Task { try await client.send(["A"]) }
                try await server.waitFor("A")
                await server.say(":1\r\n\(input)")
                #expect(try await first.value == .integer(1))
                try await eventually("the client connects anew") {
                    _ = try? await client.send(["B"], timeout: .milliseconds(20))
                    return await server.connectionCount > 1
                }
            }
        }
    }

    @Test("fails a command whose reply is not RESP")
    func violationForCommand() async throws {
        try await FakeServer.with(FakeServer.replying("HTTP/1.1 400 Bad Request\r\n")) { server in
            try await withClient(server.url) { client in
                await #expect { try await client.send(["A"]) } throws: { error in
                    guard case RedisError.protocolViolation = error else { return false }
                    return true
                }
            }
        }
    }

    @Test("sends commands that belong together back to back, and returns the server's errors among the replies")
    func together() async throws {
        let replies: FakeServer.Replies = { words in
            words[0] == "HELLO" ? "_\r\n" : words[0] == "BAD" ? "-ERR no\r\n" : ":1\r\n"
        }
        try await FakeServer.with(replies) { server in
            try await withClient(server.url) { client in
                let replies = try await client.send([["A"], ["BAD"], ["C"]], key: nil, deadline: .now() + .seconds(20))
                #expect(replies == [.integer(1), .error(ServerError("ERR no")), .integer(1)])
                #expect(try await client.send([], key: nil, deadline: .now() + .seconds(20)) == [])
                await #expect(throws: RedisError.server(ServerError("ERR no"))) { try await client.send(["BAD"]) }
            }
        }
    }

    @Test("takes a bounded number of commands")
    func bounds() async throws {
        try await FakeServer.with { server in
            let configure: (inout RedisConfiguration) -> Void = { $0.maximumPendingCommands = 3 }
            try await withClient(server.url, configure) { client in
                let tasks = (0..<3).map { _ in Task { try await client.send(["A"]) } }
                try await server.waitFor("A", times: 3)
                await #expect(throws: RedisError.queueFull) { try await client.send(["B"]) }
                await server.say(":1\r\n:1\r\n:1\r\n")
                for task in tasks { #expect(try await task.value == .integer(1)) }
            }
        }
    }

    @Test("pauses longer and longer, then fails at once, and never gives up for good")
    func backoff() async throws {
        let pauses = Mutex<[Duration]>([])
        let configure: (inout RedisConfiguration) -> Void = { configuration in
            configuration.maximumConnectFailures = 4
            configuration.backoff = Backoff(
                base: .milliseconds(10), maximum: .milliseconds(40), jitter: { 1 },
                sleep: { pause in pauses.withLock { $0.append(pause) } })
        }
        let replies: FakeServer.Replies = { $0[0] == "HELLO" ? "-ERR max number of clients reached\r\n" : nil }
        try await FakeServer.with(replies) { server in
            try await withClient(server.url, configure) { client in
                await #expect { try await client.send(["A"]) } throws: { error in
                    guard case RedisError.notSent(let sentence) = error else { return false }
                    return sentence.contains("max number of clients reached")
                }
                let firstPauses = pauses.withLock { Array($0.prefix(3)) }
                #expect(firstPauses == [.milliseconds(10), .milliseconds(20), .milliseconds(40)])
            }
        }
    }

    @Test("shows who is refused and why, without the password")
    func refusal() async throws {
        let replies: FakeServer.Replies = { _ in "-WRONGPASS invalid username-password pair hunter2\r\n" }
        try await FakeServer.with(replies) { server in
            try await withClient(server.url.replacing("redis://", with: "redis://ann:hunter2@")) { client in
                await #expect(throws: RedisError.refused("The server refused the user name or the password.")) {
                    try await client.send(["A"])
                }
            }
        }
    }

    @Test("takes a server that hangs up in the TLS handshake for one that is away, and not for a refusal")
    func hangUpInHandshake() async throws {
        try await FakeServer.with { server in
            let url = "rediss://127.0.0.1:\(await server.port)"
            try await withClient(url, { $0.maximumConnectFailures = 1 }) { client in
                let error = await #expect(throws: RedisError.self) { try await client.send(["A"]) }
                #expect(error == .notSent("The server closed the connection during the TLS handshake."))
            }
        }
    }

    @Test("closes when the commands it has taken have their replies, and takes no more")
    func closing() async throws {
        try await FakeServer.with { server in
            try await withClient(server.url) { client in
                let task = Task { try await client.send(["A"]) }
                try await server.waitFor("A")
                async let closed: Void = client.close()
                try await eventually("the client is closing") {
                    // Without time, nothing more than an error can come of it.
                    do {
                        _ = try await client.send(["B"], timeout: .zero)
                        return false
                    } catch {
                        return error as? RedisError == .closed
                    }
                }
                await server.say(":1\r\n")
                #expect(try await task.value == .integer(1))
                await closed
            }
        }
    }

    @Test("does not use a server that is replaced while it is being connected to")
    func replacedWhileConnecting() async throws {
        let mute: FakeServer.Replies = { $0[0] == "WHO" ? "+old\r\n" : nil }
        try await FakeServer.with(mute) { old in
            try await FakeServer.with(FakeServer.replying("+new\r\n")) { new in
                let configuration = RedisConfiguration(try RedisEndpoint(url: "redis://127.0.0.1"))
                let connection = CommandConnection(
                    try Relocation([await old.address, await new.address]).factory, configuration,
                    on: MultiThreadedEventLoopGroup.singleton.next())
                async let replies = connection.send([["WHO"]], deadline: .now() + .seconds(20))
                try await old.waitFor("HELLO")
                await connection.retire(unlessAt: await new.address)
                await old.say("_\r\n")
                #expect(try await replies.map(\.string) == ["new"])
                await connection.close()
            }
        }
    }

    private func withConnection(
        _ server: FakeServer, on eventLoop: any EventLoop, _ body: (CommandConnection) async throws -> Void
    ) async throws {
        let configuration = RedisConfiguration(try RedisEndpoint(url: await server.url))
        guard case .standalone(let address) = configuration.endpoint.topology else { return }
        let factory = ConnectionFactory(
            source: FixedAddress(node: address), transport: try .sockets(tls: nil, timeout: .seconds(5)),
            handshake: Handshake.Settings(), timeout: .seconds(5), limits: RESPLimits())
        let connection = CommandConnection(factory, configuration, on: eventLoop)
        try await body(connection)
        await connection.close()
    }
}

/// Many who send at the same time, while the event loop is held up.
private final class Crowd: TaskExecutor {
    // One thread, and first come, first served: who has waited here behind the others knows how far they have come.
    private let queue = DispatchQueue(label: "crowd")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        self.queue.async { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }

    func send(_ total: Int, by connection: CommandConnection) async throws {
        let gate = DispatchSemaphore(value: 0)
        connection.eventLoop.execute { gate.wait() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<total {
                group.addTask(executorPreference: self) {
                    _ = try await connection.send([["PING"]], deadline: .now() + .seconds(20))
                }
            }
            // More turns than it takes to queue a command.
            group.addTask(executorPreference: self) {
                for _ in 0..<20 { await Task.yield() }
                gate.signal()
            }
            try await group.waitForAll()
        }
    }
}
