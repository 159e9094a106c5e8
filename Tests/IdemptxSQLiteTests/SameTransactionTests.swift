import Foundation
import GRDB
import HTTPTypes
import Idemptx
import IdemptxSQLite
import IdemptxTesting
import TestSupport
import Testing

/// An operation whose writes and whose record are committed together, in the application's own database.
@Suite("One transaction for the effect and its record, in SQLite")
struct SameTransactionTests {
    private struct Declined: Error {}

    private let file: TemporaryFile
    private let pool: DatabasePool
    private let clock = ManualClock()

    init() throws {
        self.file = try TemporaryFile()
        self.pool = try DatabasePool(path: self.file.path)
        try self.pool.write { db in try db.execute(sql: "CREATE TABLE charge (key TEXT NOT NULL, attempt INTEGER)") }
    }

    private func store(timeout: Duration = .seconds(5)) throws -> SQLiteStore {
        try SQLiteStore(self.pool, timeout: timeout, time: TimeSource(self.clock))
    }

    private func engine(_ store: SQLiteStore, _ policy: IdempotencyPolicy = IdempotencyPolicy()) -> Idempotency {
        Idempotency(store: store, policy: policy, clock: self.clock)
    }

    private static func charge(_ key: String, attempt: Int = 1, in db: Database) throws -> String {
        try db.execute(sql: "INSERT INTO charge VALUES (?, ?)", arguments: [key, attempt])
        return "receipt \(db.lastInsertedRowID)"
    }

    private func charges(_ key: String = "k-1") async throws -> Int {
        try await self.pool.read { db in
            try Int.fetchOne(db, sql: "SELECT count(*) FROM charge WHERE key = ?", arguments: [key]) ?? 0
        }
    }

    private func problem(_ body: () async throws -> String) async throws -> IdempotencyProblem.Kind {
        try await #require(throws: IdempotencyProblem.self) { _ = try await body() }.kind
    }

    // MARK: The layer opens the transaction

    @Test("commits what was written and the result together, and replays the result")
    func commits() async throws {
        let store = try self.store()
        let idempotency = self.engine(store)
        let results = try await [1, 2].asyncMap { _ in
            try await idempotency.run("charge", key: "k-1", in: store) { _, db in try Self.charge("k-1", in: db) }
        }
        #expect(results == ["receipt 1", "receipt 1"])
        #expect(try await self.charges() == 1)
    }

    @Test("keeps the thread of the database, however often the operation waits")
    func waitsInside() async throws {
        actor Counter {
            var count = 0
            func next() -> Int {
                self.count += 1
                return self.count
            }
        }
        let store = try self.store()
        let counter = Counter()
        let result = try await self.engine(store).run("charge", key: "k-1", in: store) { _, db in
            for _ in 0..<20 {
                let number = await counter.next()
                await Task.yield()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { _ = await counter.next() }
                    try await group.waitForAll()
                }
                try db.execute(sql: "INSERT INTO charge VALUES ('k-1', ?)", arguments: [number])
            }
            return "done"
        }
        #expect(result == "done")
        #expect(try await self.charges() == 20)
        #expect(await counter.count == 40)
    }

    @Test("tells others what is in progress or done while a transaction holds the connection that writes")
    func readsBeside() async throws {
        let store = try self.store()
        let idempotency = self.engine(store)
        let gate = Gate()
        @Sendable func charge(_ key: String) async throws -> String {
            try await idempotency.run("charge", key: key, in: store) { _, db in
                if key == "slow" { await gate.pass() }
                return try Self.charge(key, in: db)
            }
        }
        #expect(try await charge("done") == "receipt 1")
        let slow = Task { try await charge("slow") }
        try await eventually("The transaction is open") { gate.arrivals == 1 }
        #expect(try await self.problem { try await charge("slow") } == .requestInProgress)
        #expect(try await charge("done") == "receipt 1")
        gate.open()
        #expect(try await slow.value == "receipt 2")
    }

    @Test("replays, and can be opened, while another process writes")
    func besideAnotherProcess() async throws {
        #expect(try await self.charge(by: self.engine(try self.store())) {} == "receipt 1")
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(path: self.file.path, configuration: configuration)
        try await other.whileWriting {
            let idempotency = self.engine(try self.store(timeout: .milliseconds(100)))
            #expect(try await self.charge(by: idempotency) {} == "receipt 1")
        }
    }

    @Test("runs each of many keys once, however many callers there are")
    func storm() async throws {
        let store = try self.store()
        let idempotency = self.engine(store, IdempotencyPolicy { $0.waitTimeout = .seconds(60) })
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                let key = "k-\(number % 40)"
                group.addTask {
                    _ = try await idempotency.run("charge", key: key, in: store) { _, db in
                        await Task.yield()
                        return try Self.charge(key, in: db)
                    }
                }
            }
            try await group.waitForAll()
        }
        let (all, distinct) = try await self.pool.read { db in
            (
                try Int.fetchOne(db, sql: "SELECT count(*) FROM charge"),
                try Int.fetchOne(db, sql: "SELECT count(DISTINCT key) FROM charge")
            )
        }
        #expect(all == 40)
        #expect(distinct == 40)
    }

    @Test("rolls back an operation that throws, and the policy decides about the key")
    func rollsBackFailures() async throws {
        let store = try self.store()
        for (policy, runs) in [(ReplayPolicy.atMostOnce, 1), (.retryServerErrors, 2)] {
            let idempotency = self.engine(store, IdempotencyPolicy { $0.replay = policy })
            let ledger = Ledger()
            let key = "k-\(runs)"
            for _ in 0..<2 {
                await #expect(throws: (any Error).self) {
                    _ = try await idempotency.run("charge", key: key, in: store) { _, db in
                        ledger.add()
                        _ = try Self.charge(key, in: db)
                        throw Declined()
                    }
                }
            }
            #expect(ledger.count == runs)
            #expect(try await self.charges(key) == 0)
        }
    }

    @Test("commits nothing whose result is not kept")
    func rollsBackReleases() async throws {
        let store = try self.store()
        let idempotency = self.engine(store)
        let first = try await idempotency.run("charge", key: "k-1", in: store) { context, db in
            context.release()
            return try Self.charge("k-1", in: db)
        }
        #expect(first == "receipt 1")
        #expect(try await self.charges() == 0)
        _ = try await idempotency.run("charge", key: "k-1", in: store) { _, db in try Self.charge("k-1", in: db) }
        #expect(try await self.charges() == 1)
    }

    @Test("commits with a tombstone what is done but not to be replayed")
    func commitsTombstones() async throws {
        let store = try self.store()
        let idempotency = self.engine(store)
        func charge() async throws -> String {
            try await idempotency.run("charge", key: "k-1", in: store) { context, db in
                context.tombstone()
                return try Self.charge("k-1", in: db)
            }
        }
        #expect(try await charge() == "receipt 1")
        #expect(try await self.problem(charge) == .responseNotReplayable)
        #expect(try await self.charges() == 1)
    }

    @Test("says so if the operation ends the transaction itself", arguments: ["COMMIT", "ROLLBACK", "COMMIT; BEGIN"])
    func endedBehindItsBack(_ end: String) async throws {
        let store = try self.store()
        let idempotency = self.engine(store, IdempotencyPolicy { $0.replay = .retryServerErrors })
        func charge() async throws -> String {
            try await idempotency.run("charge", key: "k-1", in: store) { _, db in
                let receipt = try Self.charge("k-1", in: db)
                try db.execute(sql: end)
                return receipt
            }
        }
        let error = try await #require(throws: StoreError.self) { _ = try await charge() }
        #expect(error.code == .transactionEnded)
        // It may be done, so that nothing runs it again.
        #expect(try await self.problem(charge) == .responseNotReplayable)
        #expect(try await self.charges() == (end == "ROLLBACK" ? 0 : 1))
        // The connection is usable.
        _ = try await idempotency.run("charge", key: "k-2", in: store) { _, db in try Self.charge("k-2", in: db) }
        #expect(try await self.charges("k-2") == 1)
    }

    @Test("says so, too, if the operation commits and then throws")
    func commitsAndThrows() async throws {
        let store = try self.store()
        let idempotency = self.engine(store, IdempotencyPolicy { $0.replay = .retryServerErrors })
        func charge() async throws -> String {
            try await idempotency.run("charge", key: "k-1", in: store) { _, db in
                _ = try Self.charge("k-1", in: db)
                try db.execute(sql: "COMMIT")
                throw Declined()
            }
        }
        #expect(try await #require(throws: StoreError.self) { _ = try await charge() }.code == .transactionEnded)
        #expect(try await self.problem(charge) == .responseNotReplayable)
        #expect(try await self.charges() == 1)
    }

    @Test("commits nothing for a key that an operator has settled meanwhile, and gives what he stored")
    func settledByOperator() async throws {
        let store = try self.store()
        let idempotency = self.engine(store)
        let gate = Gate()
        let pool = self.pool
        let late = Task {
            try await idempotency.run("charge", key: "k-1") { context in
                await gate.pass()
                return try await pool.write { db in
                    let receipt = try Self.charge("k-1", in: db)
                    try context.complete(with: receipt, in: db)
                    return receipt
                }
            }
        }
        try await eventually("The attempt runs") { gate.arrivals == 1 }
        let key = StorageKey(scope: .operation("charge"), key: try IdempotencyKey("k-1"))
        let settled = StoredResponse(status: .ok, body: Array(#""settled by hand""#.utf8))
        _ = try await store.complete(
            key, with: .response(settled), keyTTL: .seconds(60), force: true, reason: "a test")
        gate.open()
        #expect(try await late.value == "settled by hand")
        #expect(try await self.charges() == 0)
    }

    @Test("does not let the operation complete the transaction of the layer by itself")
    func completesByItself() async throws {
        let store = try self.store()
        let idempotency = self.engine(store)
        let error = try await #require(throws: StoreError.self) {
            try await idempotency.run("charge", key: "k-1", in: store) { context, db in
                try context.complete(with: Self.charge("k-1", in: db), in: db)
            }
        }
        #expect(error.code == .misconfigured)
        #expect(try await self.charges() == 0)
    }

    @Test("runs nothing, and frees the key, if the transaction cannot begin in time")
    func cannotBegin() async throws {
        let store = try LockableStore(
            self.store(), shortTimeoutStore: self.store(timeout: .milliseconds(100)), path: self.file.path)
        let idempotency = Idempotency(store: store, clock: self.clock)
        let ledger = Ledger()
        func charge() async throws -> String {
            try await idempotency.run("charge", key: "k-1", in: store) { _, db in
                ledger.add()
                return try Self.charge("k-1", in: db)
            }
        }
        store.lock()
        #expect(try await self.problem(charge) == .storeUnavailable)
        #expect(ledger.count == 0)
        store.unlock()
        try await eventually("The key is free") { try await charge() == "receipt 1" }
        #expect(ledger.count == 1)
    }

    @Test("commits nothing if the commit fails, and a retry runs the next attempt")
    func commitFails() async throws {
        try await self.pool.write { db in
            try db.execute(
                sql: """
                    CREATE TABLE parent (id INTEGER PRIMARY KEY);
                    CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
                    """)
        }
        let store = try self.store()
        let idempotency = self.engine(store)
        func charge(parent: Int) async throws -> String {
            try await idempotency.run("charge", key: "k-1", in: store) { context, db in
                try db.execute(sql: "INSERT INTO child VALUES (?)", arguments: [parent])
                try db.execute(sql: "INSERT OR IGNORE INTO parent VALUES (1)")
                return try Self.charge("k-1", attempt: context.attempt, in: db)
            }
        }
        #expect(try await self.problem { try await charge(parent: 2) } == .storeUnavailable)
        #expect(try await self.charges() == 0)
        #expect(try await charge(parent: 1) == "receipt 1")
        #expect(try await charge(parent: 3) == "receipt 1")
        let attempts = try await self.pool.read { db in try Int.fetchAll(db, sql: "SELECT attempt FROM charge") }
        #expect(attempts == [2])
    }

    @Test("refuses the transaction of another store")
    func otherStore() async throws {
        let other = try SQLiteStore(path: self.file.directory + "/other.sqlite")
        let idempotency = self.engine(try self.store())
        let ledger = Ledger()
        let error = try await #require(throws: StoreError.self) {
            _ = try await idempotency.run("charge", key: "k-1", in: other) { _, _ in ledger.add() }
        }
        #expect(error.code == .misconfigured)
        #expect(ledger.count == 0)
    }

    // MARK: The application opens the transaction

    @Test("stores a result in the transaction that the operation opened")
    func ownTransaction() async throws {
        let idempotency = self.engine(try self.store())
        let pool = self.pool
        for _ in 0..<2 {
            let result = try await idempotency.run("charge", key: "k-1") { context in
                try await pool.write { db in
                    let receipt = try Self.charge("k-1", in: db)
                    try context.complete(with: receipt, in: db)
                    return receipt
                }
            }
            #expect(result == "receipt 1")
        }
        #expect(try await self.charges() == 1)
    }

    @Test("stores nothing with a transaction that is rolled back")
    func ownTransactionRolledBack() async throws {
        let idempotency = self.engine(try self.store(), IdempotencyPolicy { $0.replay = .retryServerErrors })
        let (pool, ledger) = (self.pool, Ledger())
        func charge() async throws -> String {
            try await idempotency.run("charge", key: "k-1") { context in
                try await pool.write { db in
                    let receipt = try Self.charge("k-1", in: db)
                    try context.complete(with: receipt, in: db)
                    if ledger.add() == 1 { throw Declined() }
                    return receipt
                }
            }
        }
        await #expect(throws: Declined.self) { _ = try await charge() }
        #expect(try await self.charges() == 0)
        #expect(try await charge() == "receipt 1")
        #expect(try await charge() == "receipt 1")
        #expect(ledger.count == 2)
    }

    @Test("gives the result that is committed, also if the operation fails afterwards")
    func failsBehindTheCommit() async throws {
        let idempotency = self.engine(try self.store())
        let pool = self.pool
        let result: String = try await idempotency.run("charge", key: "k-1") { context in
            try await pool.write { db in try context.complete(with: Self.charge("k-1", in: db), in: db) }
            throw Declined()
        }
        #expect(result == "receipt 1")
        #expect(try await self.charges() == 1)
    }

    @Test("lets an attempt that was replaced commit nothing, and gives what its successor stored")
    func replaced() async throws {
        let first = self.engine(try self.store())
        // The first process stands still, while for the second one its lease runs out.
        let later = ManualClock()
        let second = Idempotency(store: try SQLiteStore(self.pool, time: TimeSource(later)), clock: later)
        later.advance(by: .seconds(31))
        let gate = Gate()
        let late = Task {
            try await self.charge(by: first) { await gate.pass() }
        }
        try await eventually("The first attempt runs") { gate.arrivals == 1 }
        #expect(try await self.charge(by: second) {} == "receipt 1")
        gate.open()
        #expect(try await late.value == "receipt 1")
        let attempts = try await self.pool.read { db in try Int.fetchAll(db, sql: "SELECT attempt FROM charge") }
        #expect(attempts == [2])
    }

    private func charge(
        by idempotency: Idempotency, after wait: @escaping @Sendable () async -> Void
    ) async throws -> String {
        let pool = self.pool
        return try await idempotency.run("charge", key: "k-1") { context in
            await wait()
            return try await pool.write { db in
                let receipt = try Self.charge("k-1", attempt: context.attempt, in: db)
                try context.complete(with: receipt, in: db)
                return receipt
            }
        }
    }
}

extension Sequence {
    fileprivate func asyncMap<Value>(_ transform: (Element) async throws -> Value) async rethrows -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await transform(element)) }
        return values
    }
}
