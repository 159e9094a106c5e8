import RESP3
import RedisServerTesting
import TestSupport
import Testing

/// What a command came to.
private enum Outcome: Equatable {
    case replied
    case notSent
    case replyLost
    case other(String)
}

private actor Tally {
    private(set) var replied = 0
    private(set) var lost = 0
    var total: Int { self.replied + self.lost }

    func count(_ outcome: Outcome) {
        switch outcome {
        case .replied: self.replied += 1
        case .replyLost: self.lost += 1
        default: Issue.record("\(outcome)")
        }
    }
}

@Suite("Faults of a server or of the way to it", .timeLimit(.minutes(2)))
struct FaultTests {
    private func outcome(_ body: () async throws -> RESPValue) async -> Outcome {
        do {
            _ = try await body()
            return .replied
        } catch RedisError.notSent {
            return .notSent
        } catch RedisError.replyLost {
            return .replyLost
        } catch {
            return .other("\(error)")
        }
    }

    @Test("A server that was killed is used again once it is back")
    func killed() async throws {
        var options = RedisServerOptions()
        options.isDurable = true
        try await RedisServer.with(options) { server in
            try await withClient(server.url(), { $0.maximumConnectFailures = 2 }) { client in
                _ = try await client.send(["SET", "key", "value"])
                try await server.kill()
                // Once the client has noticed, commands fail without having been sent.
                try await eventually("the loss is noticed") {
                    await self.outcome { try await client.send(["GET", "key"]) } == .notSent
                }
                try await server.restart()
                try await eventually("the server is used again") {
                    try await client.send(["GET", "key"]).string == "value"
                }
            }
        }
    }

    @Test("A command outwaits a short absence of the server")
    func shortAbsence() async throws {
        var options = RedisServerOptions()
        options.isDurable = true
        try await RedisServer.with(options) { server in
            // Long timeouts, for a busy machine.
            try await withClient(server.url(), { $0.maximumConnectFailures = .max }) { client in
                _ = try await client.send(["SET", "key", "value"])
                try await server.kill()
                let task = Task {
                    while true {
                        // The one that notices the loss may have been on its way.
                        do { return try await client.send(["GET", "key"]) } catch RedisError.replyLost {}
                    }
                }
                try await server.restart()
                #expect(try await task.value.string == "value")
            }
        }
    }

    @Test("A server that is halted costs what was sent its reply within the deadline; then all is well again")
    func halted() async throws {
        try await RedisServer.with { server in
            try await withClient(server.url(), { $0.connectTimeout = .milliseconds(300) }) { client in
                _ = try await client.send(["SET", "counter", 0])
                server.pause()
                let outcomes = await withTaskGroup(of: Outcome.self) { group in
                    for _ in 0..<20 {
                        group.addTask {
                            await self.outcome {
                                try await client.send(["INCR", "counter"], timeout: .seconds(1))
                            }
                        }
                    }
                    return await group.reduce(into: []) { $0.append($1) }
                }
                #expect(outcomes.allSatisfy { $0 == .replyLost || $0 == .notSent })
                #expect(outcomes.contains(.replyLost))
                let duringHalt = await self.outcome { try await client.send(["PING"], timeout: .milliseconds(100)) }
                #expect(duringHalt == .notSent)
                server.resume()
                try await eventually("the server is used again") { try await client.send(["PING"]).string == "PONG" }
                // What was sent may have run after all; what was not, has not.
                let sent = outcomes.count { $0 == .replyLost }
                #expect(try await client.send(["GET", "counter"]).integer ?? 99 <= sent)
            }
        }
    }

    @Test("What does not fit on the way to a halted server is known not to have been sent")
    func backpressure() async throws {
        try await RedisServer.with { server in
            try await withClient(server.url(), { $0.connectTimeout = .seconds(1) }) { client in
                let value = RedisArgument(String(repeating: "x", count: 1 << 20))
                // Over the connection for large commands, which stands then.
                _ = try await client.send(["SET", "key0", value])
                server.pause()
                let outcomes = await withTaskGroup(of: Outcome.self) { group in
                    for number in 0..<50 {
                        group.addTask {
                            await self.outcome {
                                try await client.send(["SET", "key\(number)", value], timeout: .seconds(2))
                            }
                        }
                    }
                    return await group.reduce(into: []) { $0.append($1) }
                }
                let (sent, unsent) = (outcomes.count { $0 == .replyLost }, outcomes.count { $0 == .notSent })
                #expect(sent > 0 && unsent > 0 && sent + unsent == 50)
                server.resume()
                // The server runs what it had received before it notices that the client has left.
                try await eventually("the server is used again") { try await client.send(["PING"]).string == "PONG" }
                #expect(try await server.send(["DBSIZE"]).integer ?? 99 <= sent + 1)
            }
        }
    }

    @Test("A reply that is lost on its way is told from a command that was never sent")
    func lostReply() async throws {
        try await RedisServer.with { server in
            try await TCPProxy.with(port: server.port) { proxy in
                try await withClient("redis://127.0.0.1:\(await proxy.port)", { $0.maximumConnectFailures = 1 }) {
                    client in
                    _ = try await client.send(["SET", "counter", 0])
                    await proxy.cutBeforeNextReply()
                    #expect(await self.outcome { try await client.send(["INCR", "counter"]) } == .replyLost)
                    // It has run, and only once.
                    #expect(try await server.send(["GET", "counter"]).integer == 1)
                    #expect(await self.outcome { try await client.send(["INCR", "counter"]) } == .replied)
                    try await server.kill()
                    try await eventually("the loss is noticed") {
                        await self.outcome { try await client.send(["INCR", "counter"]) } == .notSent
                    }
                }
            }
        }
    }

    @Test("A connection that stalls delivers late what it can, and the late reply goes to no other caller")
    func stalled() async throws {
        try await RedisServer.with { server in
            try await TCPProxy.with(port: server.port) { proxy in
                try await withClient("redis://127.0.0.1:\(await proxy.port)") { client in
                    _ = try await client.send(["PING"])
                    await proxy.hold()
                    let slow = await self.outcome {
                        try await client.send(["ECHO", "slow"], timeout: .seconds(1))
                    }
                    #expect(slow == .replyLost)
                    await proxy.release()
                    for number in 0..<20 {
                        let reply = try await client.send(["ECHO", "\(number)"])
                        #expect(reply.string == "\(number)")
                    }
                }
            }
        }
    }

    @Test("Cancelled tasks leave at once, and the connection goes on with the others")
    func cancellation() async throws {
        try await RedisServer.with { server in
            try await withClient(server.url()) { client in
                let id = try await client.send(["CLIENT", "ID"])
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<500 {
                        group.addTask {
                            let task = Task { try await client.send(["ECHO", "\(number)"]).string }
                            if number.isMultiple(of: 3) { task.cancel() }
                            do {
                                let reply = try await task.value
                                #expect(reply == "\(number)")
                            } catch RedisError.cancelled {
                                #expect(number.isMultiple(of: 3))
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(try await client.send(["CLIENT", "ID"]) == id)
            }
        }
    }

    @Test("Nothing is lost, doubled or mixed up while connections are cut under load")
    func cutUnderLoad() async throws {
        try await RedisServer.with { server in
            try await TCPProxy.with(port: server.port) { proxy in
                let port = await proxy.port
                try await withClient("redis://127.0.0.1:\(port)", { $0.maximumConnectFailures = .max }) { client in
                    let tally = Tally()
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for _ in 0..<16 {
                            group.addTask {
                                for _ in 0..<100 {
                                    let outcome = await self.outcome { try await client.send(["INCR", "counter"]) }
                                    await tally.count(outcome)
                                }
                            }
                        }
                        group.addTask {
                            for target in stride(from: 100, to: 1000, by: 100) {
                                try await eventually("more is done") { await tally.total > target }
                                await proxy.cut()
                            }
                        }
                        try await group.waitForAll()
                    }
                    let (replied, lost) = (await tally.replied, await tally.lost)
                    let counter = try await server.send(["GET", "counter"]).integer ?? 0
                    #expect(replied + lost == 1600 && replied > lost)
                    #expect(replied...(replied + lost) ~= counter)
                }
            }
        }
    }
}
