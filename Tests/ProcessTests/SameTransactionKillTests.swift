import Foundation
import NIOCore
import PostgresServerTesting
import Synchronization
import TestSupport
import Testing

/// Many charges through two processes, either of which is killed again and again.
@Suite("Demos that are killed while charges and records are committed together", .timeLimit(.minutes(10)))
struct SameTransactionKillTests {
    /// Two demos on one database, of which each can be killed and is started again.
    private final class Pair: Sendable {
        private let arguments: [String]
        private let directory: CommandProcess.Directory
        private let demos: Mutex<[Demo]>

        init(_ arguments: [String], in directory: CommandProcess.Directory) async throws {
            self.arguments = arguments
            self.directory = directory
            let first = try await Demo.start(arguments, in: directory)
            let second = try await Demo.start(arguments, in: directory)
            self.demos = Mutex([first, second])
        }

        subscript(index: Int) -> Demo { self.demos.withLock { $0[index % 2] } }

        func killAndRestart(_ index: Int) async throws {
            try await self[index].process.killHard()
            let demo = try await Demo.start(self.arguments, in: self.directory)
            self.demos.withLock { $0[index % 2] = demo }
        }
    }

    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    /// Sends a charge to one demo or the other until there is a response to it.
    private static func charge(_ key: String, through pair: Pair) async throws -> Response {
        for attempt in 0..<10_000 {
            // No response: the demo is being killed. 409 and 503 say that it is not known yet.
            if let response = try? await pair[attempt + key.hashValue & 1].charge(
                key: key, latency: Self.latency, timeout: .seconds(10)),
                response.status == 201
            {
                return response
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw NoResponse()
    }

    private struct NoResponse: Error {}

    /// How long each transaction is open: long enough to be killed in.
    private static let latency = "20ms"

    /// - Returns: How many charges were made by a second attempt or a later one.
    private func run(_ arguments: [String], charges: Int) async throws -> Int {
        let pair = try await Pair(["--lease", "1s"] + arguments, in: self.directory)
        let done = Gate()
        let kills = Ledger()
        let killer = Task {
            while !done.isOpen {
                try await pair.killAndRestart(kills.add())
                try await Task.sleep(for: .milliseconds(.random(in: 200...1500)))
            }
        }
        let begun = Ledger()
        let first = try await withThrowingTaskGroup(of: [String: Response].self) { group in
            for _ in 0..<16 {
                group.addTask {
                    var responses: [String: Response] = [:]
                    while case let number = begun.add(), number <= charges {
                        responses["k-\(number)"] = try await Self.charge("k-\(number)", through: pair)
                    }
                    return responses
                }
            }
            return try await group.reduce(into: [:]) { $0.merge($1) { first, _ in first } }
        }
        done.open()
        try await killer.value
        #expect(first.count == charges)
        #expect(kills.count >= 3)

        let ledger = try await pair[0].ledger()
        #expect(ledger.count == charges)
        let ids = Set(ledger.map(\.id))
        var seen: Set<Int> = []
        for (key, response) in first {
            let again = try await pair[1].charge(key: key, latency: Self.latency)
            #expect(again.header("Idempotent-Replayed") == "true")
            #expect(again.repeatable == response.repeatable)
            let charge = try JSONDecoder().decode(Demo.Charge.self, from: Data(response.body.utf8))
            seen.insert(charge.id)
        }
        // Row by row: each charge belongs to one response, and each response to one charge.
        #expect(seen == ids)
        return ledger.count { $0.attempt > 1 }
    }

    /// The number of charges: small in an ordinary run, as large as is asked for by hand.
    private static let charges =
        ProcessInfo.processInfo.environment["IDEMPTX_TEST_CHARGES"].flatMap { Int($0) } ?? 300

    @Test("charge each order once in PostgreSQL, and repeat the first response")
    func postgres() async throws {
        try await PostgresServer.withDatabase { database in
            let later = try await self.run(["--same-transaction", "--store", database.url], charges: Self.charges)
            #expect(later > 0)
        }
    }

    @Test("charge each order once in SQLite, and repeat the first response")
    func sqlite() async throws {
        #expect(try await self.run(["--same-transaction"], charges: Self.charges) > 0)
    }
}
