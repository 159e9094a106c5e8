import Foundation
import GRDB
import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import IdemptxRedis
import IdemptxSQLite
import IdemptxTesting
import RedisServerTesting
import TestSupport
import Testing

/// The process lives and knows the outcome; its store is away for longer than the caller waits.
@Suite("A known outcome is not thrown away", .timeLimit(.minutes(3)))
struct StoreOutageTests {
    /// What becomes of a server.
    enum Fault: String, CaseIterable {
        case killed
        case halted
    }

    private let ledger = Ledger()
    private let gate = Gate()

    @Test("though Redis is gone for longer than completionRetryTime, and comes back", arguments: Fault.allCases)
    func redis(fault: Fault) async throws {
        var options = RedisServerOptions()
        options.isDurable = true
        try await RedisServer.with(options) { server in
            let connection = RedisConnectionConfiguration(commandTimeout: .seconds(3))
            try await self.loseStore(
                of: RedisStore(url: server.url(), connection: connection), and: RedisStore(url: server.url())
            ) {
                if fault == .killed { try await server.kill() } else { server.pause() }
            } until: {
                if fault == .killed { try await server.restart() } else { server.resume() }
            }
        }
    }

    @Test("though an SQLite file is locked for longer than completionRetryTime", arguments: [50, 5_000])
    func lockedFile(timeout: Int) async throws {
        try await self.withFile { path in
            let store = try SQLiteStore(path: path, timeout: .milliseconds(timeout))
            var configuration = Configuration()
            configuration.allowsUnsafeTransactions = true
            let other = try DatabaseQueue(path: path, configuration: configuration)
            try await self.loseStore(of: store, and: SQLiteStore(path: path)) {
                try await other.writeWithoutTransaction { db in try db.execute(sql: "BEGIN IMMEDIATE") }
            } until: {
                try await other.writeWithoutTransaction { db in try db.execute(sql: "ROLLBACK") }
            }
        }
    }

    @Test("though the disk is full, and freed later")
    func fullDisk() async throws {
        try await self.withFile { path in
            // The limit belongs to a connection, so that the store has to use one that the test can reach.
            let database = try DatabasePool(path: path)
            let otherStore = try SQLiteStore(DatabasePool(path: path))
            try await self.loseStore(of: SQLiteStore(database), and: otherStore) {
                try await database.writeWithoutTransaction { db in
                    let pages = try #require(try Int.fetchOne(db, sql: "PRAGMA page_count"))
                    try db.execute(sql: "PRAGMA max_page_count = \(pages)")
                }
            } until: {
                try await database.writeWithoutTransaction { db in
                    try db.execute(sql: "PRAGMA max_page_count = 1000000")
                }
            }
        }
    }

    /// Takes the store away in mid-operation, and gives it back once the caller has a response and storing has been tried
    /// again and again.
    ///
    /// - Parameters:
    ///   - store: That of the process in which the operation runs.
    ///   - otherStore: That of another process.
    ///   - begin: Takes the store away.
    ///   - end: Gives it back.
    /// - Throws: What never came true, and what the client throws.
    private func loseStore(
        of store: any IdempotencyStore,
        and otherStore: any IdempotencyStore,
        _ begin: @escaping @Sendable () async throws -> Void,
        until end: @escaping @Sendable () async throws -> Void
    ) async throws {
        // Without a fault of its own: it counts.
        let counted = FaultyStore(store)
        try await self.app(counted).test(.live) { client in
            try await self.app(otherStore).test(.live) { otherClient in
                let caller = Task {
                    try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5))
                }
                try await eventually { self.gate.arrivals == 1 }
                try await begin()
                self.gate.open()

                // The store does not come back before the caller has a response.
                let first = try await caller.value
                #expect(first.status == .created)
                #expect(first.idempotencyStatus == .unstored)
                let tries = counted.count(of: .complete)
                try await eventually("Storing goes on") { counted.count(of: .complete) >= tries + 2 }
                try await end()

                try await eventually("Another process replays the response") {
                    let retry = try await otherClient.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5))
                    return retry.isReplay && retry.repeatable == first.repeatable
                }
            }
        }
        #expect(self.ledger.count == 1)
    }

    /// A process with an engine of its own.
    private func app(_ store: any IdempotencyStore) -> some ApplicationProtocol {
        let (ledger, gate) = (self.ledger, self.gate)
        let policy = IdempotencyPolicy { $0.completionRetryTime = .milliseconds(300) }
        let router = Router()
        router.post(
            "charges",
            use: idempotent(store: store, policy: policy) { (_: Request, _: BasicRequestContext) -> Response in
                let entry = ledger.add()
                await gate.pass()
                // More than the pages of a file that exist already can take.
                let padding = ByteBuffer(repeating: UInt8(ascii: "."), count: 200_000)
                return Response(
                    status: .created, headers: [.location: "/charges/\(entry)"],
                    body: ResponseBody(byteBuffer: padding))
            })
        return Application(router: router)
    }

    private func withFile(_ body: (String) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "idemptx-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: directory) }
        try await body(directory.appending(path: "store.sqlite").path)
    }
}
