import Dispatch
import GRDB
import HTTPTypes
import Idemptx
import Synchronization
import TestSupport
import Testing

// What a transaction costs, and what becomes of those who share a failed one, does not show from outside.
@testable import IdemptxSQLite

@Suite("Calls that come at the same time")
struct GroupWriterTests {
    private let file: TemporaryFile
    private let database: RecordDatabase
    private let writer: GroupWriter

    init() throws {
        self.file = try TemporaryFile()
        self.database = try RecordDatabase(path: self.file.path, busyTimeout: .seconds(60))
        // On a busy machine, too, the calls that wait fit into one transaction.
        self.writer = GroupWriter(
            self.database.writer, limits: GroupWriter.Limits(timeout: .seconds(60), groupTime: .seconds(60)))
    }

    private static func record() -> IdempotencyRecord {
        IdempotencyRecord(
            fingerprint: .none, owner: OwnerToken(), attempt: 1, created: .init(milliseconds: 0),
            expires: .init(milliseconds: .max), state: .completed(.tombstone(Tombstone(status: 200))))
    }

    private static func key() throws -> StorageKey {
        let token = OwnerToken()
        return try #require(StorageKey(bytes: token.bytes + token.bytes))
    }

    /// Keeps the connection busy.
    ///
    /// - Returns: What ends that.
    private func block() async throws -> DispatchSemaphore {
        let (isBlocked, isToGoOn) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        self.database.writer.asyncWriteWithoutTransaction { _ in
            isBlocked.signal()
            isToGoOn.wait()
        }
        try await eventually { isBlocked.wait(timeout: .now()) == .success }
        return isToGoOn
    }

    /// Holds the writer back until `count` calls wait for it.
    private func together(
        _ count: Int,
        _ call: @escaping @Sendable (Int, Database) throws -> Void
    ) async throws -> [Result<Void, StoreError>] {
        let isToGoOn = try await self.block()
        return try await withThrowingTaskGroup(of: (Int, Result<Void, StoreError>).self) { group in
            for index in 0..<count {
                group.addTask {
                    do throws(StoreError) {
                        return (
                            index,
                            .success(try await self.writer.perform(priority: .claim) { db in try call(index, db) })
                        )
                    } catch {
                        return (index, .failure(error))
                    }
                }
            }
            try await eventually { self.writer.pendingCount == count }
            isToGoOn.signal()
            var results = [Result<Void, StoreError>](repeating: .success(()), count: count)
            for try await (index, result) in group { results[index] = result }
            return results
        }
    }

    @Test("share a transaction, and its one sync")
    func shareTransaction() async throws {
        let commits = CommitCounter()
        self.database.writer.add(transactionObserver: commits)
        let keys = try (0..<100).map { _ in try Self.key() }
        let results = try await self.together(100) { index, db in
            try RecordStatements.write(Self.record(), for: keys[index], in: db)
        }
        #expect(results.allSatisfy { (try? $0.get()) != nil })
        #expect(commits.count == 1)
        #expect(
            try await self.database.read { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM idemptx_record") }
                == 100)
    }

    @Test("do not share a failure of one of them")
    func failAlone() async throws {
        let keys = try (0..<3).map { _ in try Self.key() }
        let results = try await self.together(3) { index, db in
            if index == 1 { throw StoreError(.corruptRecord, "Damaged.") }
            try RecordStatements.write(Self.record(), for: keys[index], in: db)
        }
        let codes = results.map { result -> StoreError.Code? in
            guard case .failure(let error) = result else { return nil }
            return error.code
        }
        #expect(codes == [nil, .corruptRecord, nil])
        #expect(
            try await self.database.read { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM idemptx_record") } == 2
        )
    }

    @Test("that share a transaction fail together if the disk is full, change nothing, and work again when it is not")
    func fullDisk() async throws {
        try await self.database.writer.writeWithoutTransaction { db in
            let pages = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
            try db.execute(sql: "PRAGMA max_page_count = \(pages + 1)")
        }
        let large = IdempotencyRecord(
            fingerprint: .none, owner: OwnerToken(), attempt: 1, created: .init(milliseconds: 0),
            expires: .init(milliseconds: .max),
            state: .completed(.response(StoredResponse(status: .ok, body: Array(repeating: 7, count: 100_000)))))
        let keys = try (0..<5).map { _ in try Self.key() }
        let results = try await self.together(5) { index, db in
            try RecordStatements.write(index == 2 ? large : Self.record(), for: keys[index], in: db)
        }
        // Those that come after the large one have a transaction of their own.
        let stored = results.count { (try? $0.get()) != nil }
        for result in results {
            guard case .failure(let error) = result else { continue }
            #expect(error.code == .unavailable)
        }
        guard case .failure = results[2] else {
            Issue.record("The disk is full")
            return
        }
        let count = try await self.database.read { db in
            try Int.fetchOne(db, sql: "SELECT count(*) FROM idemptx_record")
        }
        #expect(count == stored)

        try await self.database.writer.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA max_page_count = 100000")
        }
        try await self.writer.perform(priority: .settle) { db in
            try RecordStatements.write(large, for: keys[2], in: db)
        }
    }

    @Test("Renewals and completions go ahead of claims that came before")
    func priorities() async throws {
        let order = Order()
        let isToGoOn = try await self.block()
        try await withThrowingTaskGroup(of: Void.self) { group in
            let calls: [(TransactionPriority, Int)] = [(.background, 3), (.claim, 2), (.settle, 1)]
            for (count, (priority, number)) in calls.enumerated() {
                group.addTask { try await self.writer.perform(priority: priority) { _ in order.add(number) } }
                try await eventually { self.writer.pendingCount == count + 1 }
            }
            isToGoOn.signal()
            try await group.waitForAll()
        }
        #expect(order.numbers == [1, 2, 3])
    }

    @Test("A call that waits for longer than its deadline is called off, and does nothing later")
    func deadline() async throws {
        let isToGoOn = try await self.block()
        let order = Order()
        await #expect(throws: StoreError.self) {
            try await self.writer.perform(priority: .claim, timeout: .milliseconds(30)) { _ in order.add(1) }
        }
        #expect(self.writer.pendingCount == 0)
        isToGoOn.signal()
        try await self.writer.perform(priority: .claim) { _ in order.add(2) }
        #expect(order.numbers == [2])
    }

    @Test("A queue that is full refuses calls instead of growing, and more urgent ones still get in")
    func bounded() async throws {
        let writer = GroupWriter(self.database.writer, limits: GroupWriter.Limits(pendingCalls: 2))
        let isToGoOn = try await self.block()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for count in 1...2 {
                group.addTask { try await writer.perform(priority: .claim, timeout: .seconds(600)) { _ in } }
                try await eventually { writer.pendingCount == count }
            }
            let error = await #expect(throws: StoreError.self) {
                try await writer.perform(priority: .claim, timeout: .seconds(600)) { _ in }
            }
            #expect(error?.code == .unavailable)
            group.addTask { try await writer.perform(priority: .settle, timeout: .seconds(600)) { _ in } }
            try await eventually { writer.pendingCount == 3 }
            isToGoOn.signal()
            try await group.waitForAll()
        }
    }
}

/// The order in which calls were made.
private final class Order: Sendable {
    private let entries = Mutex<[Int]>([])

    var numbers: [Int] { self.entries.withLock { $0 } }

    func add(_ number: Int) { self.entries.withLock { $0.append(number) } }
}

private final class CommitCounter: TransactionObserver, Sendable {
    private let commits = Mutex(0)

    var count: Int { self.commits.withLock { $0 } }

    func observes(eventsOfKind eventKind: DatabaseEventKind) -> Bool { true }
    func databaseDidChange(with event: DatabaseEvent) {}
    func databaseDidRollback(_ db: Database) {}
    func databaseDidCommit(_ db: Database) { self.commits.withLock { $0 += 1 } }
}
