import Foundation
import TestSupport
import Testing

@Suite("idemptx demo")
struct DemoTests {
    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    @Test("charges once, however often the request comes")
    func replays() async throws {
        let demo = try await Demo.start(in: self.directory)
        let first = try await demo.charge(key: "k-1")
        #expect(first.status == 201)
        #expect(first.header("Location") == "/charges/1")
        #expect(first.header("X-Idempotency-Status") == "new")
        let again = try await demo.charge(key: "k-1")
        #expect(again.header("X-Idempotency-Status") == "hit")
        #expect(again.header("Idempotent-Replayed") == "true")
        #expect(again.repeatable == first.repeatable)
        #expect(try await demo.charge(key: "k-1", amount: 600).status == 422)
        #expect(try await demo.charge(key: nil).status == 400)
        #expect(try await demo.ledger() == [.init(id: 1, amount: 500, attempt: 1)])
    }

    @Test(
        "charges once in a storm of 50, and everybody gets the same response",
        arguments: ["memory", "sqlite:store.sqlite"])
    func storm(store: String) async throws {
        let demo = try await Demo.start(["--store", store, "--wait-timeout", "30s"], in: self.directory)
        let responses = try await withThrowingTaskGroup(of: Response.self) { group in
            for _ in 0..<50 { group.addTask { try await demo.charge(key: "k-1", latency: "200ms") } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(responses.allSatisfy { $0.repeatable == responses[0].repeatable && $0.status == 201 })
        #expect(try await demo.ledger().count == 1)
    }

    @Test(
        "prints lines to paste that show what it says")
    func guide() async throws {
        let demo = try await Demo.start(in: self.directory)
        let lines = demo.process.outputText.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { $0.hasPrefix("curl") }
        // The last two end the demo, and retry once it has been started again.
        try #require(lines.count == 8)
        let statuses = ["201", "201", "422", "409", "400", "200"]
        for (line, status) in zip(lines, statuses) {
            let output = try self.shell(line.hasSuffix("/charges") ? "\(line) -i" : line)
            #expect(output.contains("HTTP/1.1 \(status)"), "\(line)")
        }
        #expect(try self.shell(lines[1]).contains("Idempotent-Replayed: true"))
        #expect(try await demo.ledger().map(\.amount) == [1999, 500])
    }

    private func shell(_ line: String) throws -> String {
        let (process, pipe) = (Process(), Pipe())
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", line]
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
        return String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    }

    @Test("ends what it has begun when it is told to stop, and stores it")
    func graceful() async throws {
        let first = try await Demo.start(in: self.directory)
        async let running = first.charge(key: "k-1", latency: "60s")
        try await eventually { try await first.ledger().count == 1 }
        first.process.signal(SIGTERM)
        #expect(try await running.status == 201)
        #expect(try await first.process.exitStatus() == 0)

        let second = try await Demo.start(in: self.directory)
        let again = try await second.charge(key: "k-1", latency: "60s")
        #expect(again.header("Idempotent-Replayed") == "true")
        #expect(try await second.ledger().count == 1)
    }

    @Test("shares its store with a second process, even if both make it at the same time", arguments: 0..<5)
    func twoProcesses(round: Int) async throws {
        async let starting = Demo.start(["--wait-timeout", "30s"], in: self.directory)
        let second = try await Demo.start(["--wait-timeout", "30s"], in: self.directory)
        let first = try await starting
        let responses = try await withThrowingTaskGroup(of: Response.self) { group in
            for index in 0..<20 {
                group.addTask { try await [first, second][index % 2].charge(key: "k-1", latency: "200ms") }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(responses.allSatisfy { $0.repeatable == responses[0].repeatable && $0.status == 201 })
        #expect(try await second.ledger().count == 1)
    }
}
