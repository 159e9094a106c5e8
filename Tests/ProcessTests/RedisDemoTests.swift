import Foundation
import RedisServerTesting
import TestSupport
import Testing

/// Two processes share one Redis, and one ledger.
@Suite("idemptx demo on Redis", .timeLimit(.minutes(3)))
struct RedisDemoTests {
    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    private func start(_ server: RedisServer, _ arguments: String...) async throws -> Demo {
        try await Demo.start(["--store", server.url()] + arguments, in: self.directory)
    }

    @Test("charges once, though twenty requests are spread over two processes")
    func spread() async throws {
        try await RedisServer.with { server in
            let demos = [
                try await self.start(server, "--wait-timeout", "30s"),
                try await self.start(server, "--wait-timeout", "30s"),
            ]
            let responses = try await withThrowingTaskGroup(of: Response.self) { group in
                for index in 0..<20 {
                    group.addTask { try await demos[index % 2].charge(key: "k-1", latency: "500ms") }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(responses.allSatisfy { $0.repeatable == responses[0].repeatable && $0.status == 201 })
            #expect(try await demos[0].ledger().count == 1)
        }
    }

    @Test("refuses while Redis is away, and works again when it is back, without a restart")
    func outage() async throws {
        var options = RedisServerOptions()
        options.isDurable = true
        try await RedisServer.with(options) { server in
            let demo = try await self.start(server)
            #expect(try await demo.charge(key: "k-1").status == 201)
            try await server.kill()
            let refused = try await demo.charge(key: "k-2")
            #expect(refused.status == 503)
            #expect(refused.header("Content-Type") == "application/problem+json")
            #expect(refused.header("Retry-After") != nil)
            #expect(try await demo.ledger().count == 1)
            try await server.restart()
            try await eventually("Redis is used again") { try await demo.charge(key: "k-2").status == 201 }
            #expect(try await demo.charge(key: "k-1").header("Idempotent-Replayed") == "true")
            #expect(try await demo.ledger().count == 2)
        }
    }

    @Test("keeps the response of the process that took over, when the first one comes back")
    func pausedProcess() async throws {
        try await RedisServer.with { server in
            let first = try await self.start(server, "--lease", "2s")
            let second = try await self.start(server, "--lease", "2s")
            let paused = Task { try await first.charge(key: "k-1", latency: "5s") }
            try await eventually { try await second.ledger().count == 1 }
            first.process.signal(SIGSTOP)
            // The first is silent for longer than its lease.
            try await eventually("The retry runs") {
                _ = try? await second.charge(key: "k-1", latency: "5s")
                return try await second.ledger().count == 2
            }
            try await eventually("The retry has its response") {
                try await second.charge(key: "k-1", latency: "5s").status == 201
            }
            let response = try await second.charge(key: "k-1", latency: "5s")
            #expect(response.body.contains(#""attempt":2"#))
            first.process.signal(SIGCONT)
            // It has run, and only its own caller gets that response.
            let late = try await paused.value
            #expect(late.status == 201 && late.body.contains(#""attempt":1"#))
            #expect(late.header("X-Idempotency-Status") == "unstored")
            #expect(try await first.charge(key: "k-1", latency: "5s").repeatable == response.repeatable)
            #expect(try await second.ledger().count == 2)
        }
    }
}
