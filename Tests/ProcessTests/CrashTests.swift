import Foundation
import NIOCore
import TestSupport
import Testing

/// The process is killed for real, at the worst moment: the money has moved, and the client does not know.
@Suite("A demo that is killed")
struct CrashTests {
    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    /// Kills a demo while a charge is in the ledger and has no response yet.
    private func crashWhileCharging(_ arguments: [String]) async throws {
        let demo = try await Demo.start(arguments, in: self.directory)
        let caller = Task { try await demo.charge(key: "k-1", latency: "60s") }
        try await eventually { try await demo.ledger().count == 1 }
        try await demo.process.killHard()
        await #expect(throws: (any Error).self) { try await caller.value }
    }

    @Test("replays a charge of before, byte for byte")
    func replaysAfterRestart() async throws {
        let first = try await Demo.start(in: self.directory)
        let response = try await first.charge(key: "k-1")
        try await first.process.killHard()

        let second = try await Demo.start(in: self.directory)
        let again = try await second.charge(key: "k-1")
        #expect(again.header("Idempotent-Replayed") == "true")
        #expect(again.repeatable == response.repeatable)
        #expect(try await second.ledger().count == 1)
    }

    @Test("lets a retry run once its lease is over, as attempt 2")
    func rerun() async throws {
        // Long enough for a restart within it, on whatever machine.
        let lease = ["--lease", "10s"]
        try await self.crashWhileCharging(lease)
        let demo = try await Demo.start(lease, in: self.directory)
        #expect(try await demo.charge(key: "k-1", latency: "60s").status == 409)

        try await eventually {
            // The retry that runs takes a minute; the test does not wait for it.
            _ = try? await demo.charge(key: "k-1", latency: "60s", timeout: .milliseconds(200))
            return try await demo.ledger().count == 2
        }
        #expect(try await demo.ledger().map(\.attempt) == [1, 2])
        #expect(demo.process.errorText.contains("attempt=2"))
    }

    @Test("runs nothing again if the rule is to refuse")
    func refuse() async throws {
        let arguments = ["--lease", "1s", "--on-abandoned", "refuse"]
        try await self.crashWhileCharging(arguments)
        let demo = try await Demo.start(arguments, in: self.directory)
        try await eventually {
            try await demo.charge(key: "k-1", latency: "60s").body.contains("outcome-unknown")
        }
        #expect(try await demo.charge(key: "k-1", latency: "60s").body.contains("outcome-unknown"))
        #expect(try await demo.ledger().count == 1)
    }

    @Test("leaves nothing behind if the charge and its record are committed together")
    func sameTransaction() async throws {
        let arguments = ["--lease", "1s", "--same-transaction"]
        let first = try await Demo.start(arguments, in: self.directory)
        let caller = Task { try await first.charge(key: "k-1", latency: "8s") }
        try await eventually("The charge is written") { first.process.errorText.contains("Charged") }
        #expect(try await first.ledger().isEmpty)
        try await first.process.killHard()
        await #expect(throws: (any Error).self) { try await caller.value }

        let second = try await Demo.start(arguments, in: self.directory)
        try await eventually("The retry runs") { try await second.charge(key: "k-1", latency: "8s").status == 201 }
        let again = try await second.charge(key: "k-1", latency: "8s")
        #expect(again.header("Idempotent-Replayed") == "true")
        #expect(try await second.ledger().map(\.attempt) == [2])
    }
}
