import Foundation
import GRDB
import HTTPTypes
import Idemptx
import IdemptxTesting
import ServiceLifecycle
import StoreTestSupport
import Synchronization
import TestSupport
import Testing

@testable import IdemptxSQLite

@Suite("The SQLite store")
struct SQLiteStoreTests {
    private let file: TemporaryFile

    init() throws {
        self.file = try TemporaryFile()
    }

    private func open(timeout: Duration = .seconds(5), clock: ManualClock? = nil) throws -> SQLiteStore {
        try SQLiteStore(
            path: self.file.path, timeout: timeout, time: clock.map { TimeSource($0) } ?? .wallClock)
    }

    private func key(_ text: String = "k-1") throws -> StorageKey {
        StorageKey(scope: .unscoped, key: try IdempotencyKey(text))
    }

    private let response = StoredResponse(
        status: .created, headerFields: [.location: "/charges/1"], body: Array("charged".utf8))

    @Test("keeps the laws of a store")
    func conforms() async throws {
        let path = self.file.path
        try await StoreConformance { clock in try SQLiteStore(path: path, time: TimeSource(clock)) }.runAll()
    }

    @Test("keeps the laws if several processes share the file")
    func conformsTogether() async throws {
        let path = self.file.path
        try await StoreConformance { clock in
            let time = TimeSource(clock)
            return AlternatingStore(try SQLiteStore(path: path, time: time), try SQLiteStore(path: path, time: time))
        }.runAll()
    }

    @Test("replays what was stored before it was opened anew")
    func survivesReopening() async throws {
        let request = ClaimRequest(key: try self.key())
        try await self.complete(request, in: self.open())
        guard case .completed(.response(let replayed)) = try await self.open().claim(request) else {
            Issue.record("The outcome is gone")
            return
        }
        #expect(replayed == self.response)
    }

    private func complete(_ request: ClaimRequest, in store: SQLiteStore) async throws {
        guard case .granted(let claim) = try await store.claim(request) else {
            Issue.record("The key should be free")
            return
        }
        #expect(try await store.complete(claim, with: .response(self.response), keyTTL: .seconds(60)))
    }

    // That a power cut takes nothing back cannot be tried here; the setting that promises it can be looked up.
    @Test("commits to the disk, not only to the system")
    func isDurable() throws {
        let database = try RecordDatabase(path: self.file.path, busyTimeout: .seconds(5))
        let (synchronous, journal) = try database.writer.writeWithoutTransaction { db in
            (
                try Int.fetchOne(db, sql: "PRAGMA synchronous"),
                try String.fetchOne(db, sql: "PRAGMA journal_mode")
            )
        }
        #expect(synchronous == 2)
        #expect(journal == "wal")
    }

    @Test("can be run, inspected and swept")
    func capabilities() async throws {
        // The laws leave out what a store does not conform to.
        let store: any IdempotencyStore & Service & RecordCounting & ExpirySweeping = try self.open()
        #expect(try await store.statistics().total == 0)
    }

    @Test("finishes what it is asked, whether or not the caller waits for it")
    func cancelledCaller() async throws {
        let store = try self.open()
        let key = try self.key()
        let gate = Gate()
        let complete = Task { [response] in
            await gate.pass()
            guard case .granted(let claim) = try await store.claim(ClaimRequest(key: key)) else { return false }
            return try await store.complete(claim, with: .response(response), keyTTL: .seconds(60))
        }
        complete.cancel()
        gate.open()
        #expect(try await complete.value)
        #expect(try await store.record(for: key)?.outcome == .response(self.response))
    }

    @Test("says so if another process writes for too long, and changes nothing")
    func busy() async throws {
        let store = try self.open(timeout: .milliseconds(50))
        let key = try self.key()
        let other = try await self.lock()
        #expect(await store.claimError(key)?.code == .unavailable)
        try await self.unlock(other)
        #expect(try await store.record(for: key) == nil)
        try await eventually("It writes again") { await store.claimError(key) == nil }
    }

    /// Locks the file as another process does that is writing.
    private func lock() async throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(path: self.file.path, configuration: configuration)
        try await other.writeWithoutTransaction { db in try db.execute(sql: "BEGIN IMMEDIATE") }
        return other
    }

    private func unlock(_ other: DatabaseQueue) async throws {
        try await other.writeWithoutTransaction { db in try db.execute(sql: "ROLLBACK") }
    }

    @Test(
        "A claim whose turn comes after its caller has given up is not granted",
        arguments: UnknownOutcomeRule.Kind.allCases)
    func lateClaim(rule: UnknownOutcomeRule.Kind) async throws {
        let store = try self.open()
        let key = try self.key()
        let other = try await self.lock()
        let request = ClaimRequest(key: key, onAbandoned: rule, timeout: .milliseconds(20))
        let claim = Task { await store.claimError(request) }
        #expect(await claim.value?.code == .unavailable)
        try await self.unlock(other)
        // A call that comes later is done later.
        #expect(try await !store.remove(key, reason: "a test"))
    }

    @Test("A file that is locked for long makes calls fail at their deadline, and they work again afterwards")
    func lockedForLong() async throws {
        // The limit of 50 ms is for the calls that fail. It can be too short for others.
        let (store, shortTimeoutStore) = (try self.open(), try self.open(timeout: .milliseconds(50)))
        let request = ClaimRequest(key: try self.key())
        guard case .granted(let claim) = try await store.claim(request) else {
            Issue.record("The key should be free")
            return
        }
        let other = try await self.lock()
        for _ in 0..<3 {
            let error = await #expect(throws: StoreError.self) {
                try await shortTimeoutStore.renew(claim, lease: .seconds(30))
            }
            #expect(error?.code == .unavailable)
        }
        try await self.unlock(other)
        try await eventually("It writes again") { try await shortTimeoutStore.renew(claim, lease: .seconds(30)) }
        #expect(try await store.complete(claim, with: .response(self.response), keyTTL: .seconds(60)))
    }

    @Test("A replay does not wait while another process writes")
    func replayWhileLocked() async throws {
        let store = try self.open(timeout: .seconds(60))
        let request = ClaimRequest(key: try self.key())
        try await self.complete(request, in: store)
        let other = try await self.lock()
        guard case .completed = try await store.claim(ClaimRequest(key: request.key)) else {
            Issue.record("The outcome should be replayed")
            return
        }
        try await self.unlock(other)
    }

    @Test("Only the owner can read the files: they hold responses")
    func permissions() async throws {
        let store = try self.open()
        try await self.complete(ClaimRequest(key: try self.key()), in: store)
        let files = try FileManager.default.contentsOfDirectory(atPath: self.file.directory)
        #expect(files.count == 3)
        for file in files {
            let attributes = try FileManager.default.attributesOfItem(atPath: self.file.directory + "/" + file)
            #expect(attributes[.posixPermissions] as? Int == 0o600, "\(file)")
        }
    }

    @Test("All handles on one file have one identity, and no others")
    func identity() throws {
        let store = try self.open()
        let link = self.file.directory + "/link.sqlite"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: self.file.path)
        #expect(try store.identity == self.open().identity)
        #expect(try store.identity == SQLiteStore(path: link).identity)
        #expect(try store.identity != SQLiteStore(path: self.file.directory + "/other.sqlite").identity)
    }

    @Test("works in the application's own database, beside its tables", arguments: [true, false])
    func ownDatabase(isPool: Bool) async throws {
        let database: any DatabaseWriter =
            isPool ? try DatabasePool(path: self.file.path) : try DatabaseQueue(path: self.file.path)
        try await database.write { db in try db.execute(sql: "CREATE TABLE record (id INTEGER PRIMARY KEY)") }
        let store = try SQLiteStore(database)
        let request = ClaimRequest(key: try self.key())
        try await self.complete(request, in: store)
        try await database.write { db in try db.execute(sql: "INSERT INTO record DEFAULT VALUES") }
        guard case .completed = try await store.claim(request) else {
            Issue.record("The outcome should be replayed")
            return
        }
        #expect(try await database.read { db in try !db.tableExists("grdb_migrations") })
    }

    @Test("keeps the laws of a store in the application's own database")
    func conformsInOwnDatabase() async throws {
        let database = try DatabasePool(path: self.file.path)
        try await StoreConformance { clock in try SQLiteStore(database, time: TimeSource(clock)) }.runAll(seeds: 0..<3)
    }

    @Test("lets the application close its own database, and says so to those who come later")
    func closesWithTheApplication() async throws {
        let database = try DatabasePool(path: self.file.path)
        let store = try SQLiteStore(database)
        let request = ClaimRequest(key: try self.key())
        try await self.complete(request, in: store)
        try database.close()
        #expect(await store.claimError(request) != nil)
    }

    @Test("opens the application's own database by its path, too, beside its migrations", arguments: [true, false])
    func opensByPath(hasMigrations: Bool) async throws {
        let database = try DatabasePool(path: self.file.path)
        try await database.write { db in try db.execute(sql: "CREATE TABLE record (id INTEGER PRIMARY KEY)") }
        if hasMigrations {
            var migrator = DatabaseMigrator()
            migrator.registerMigration("the application's") { db in try db.execute(sql: "CREATE TABLE other (id)") }
            try migrator.migrate(database)
        }
        let request = ClaimRequest(key: try self.key())
        try await self.complete(request, in: SQLiteStore(database))
        guard case .completed = try await SQLiteStore(path: self.file.path).claim(request) else {
            Issue.record("The outcome should be replayed")
            return
        }
    }

    @Test("goes on with a file of the first version")
    func migrates() async throws {
        let keys = try ["running", "crashed", "done"].map { try self.key($0) }
        var records: [IdempotencyRecord] = []
        let now = TimeSource.wallClock.now
        for (index, _) in keys.enumerated() {
            let leaseEnd = now.advanced(by: .seconds(index == 0 ? 30 : -30))
            records.append(
                IdempotencyRecord(
                    fingerprint: .none, owner: OwnerToken(), attempt: 1, created: now,
                    expires: now.advanced(by: .seconds(3600)),
                    state: index == 2 ? .completed(.response(self.response)) : .claimed(leaseEnd: leaseEnd)))
        }
        try self.file.edit { db in
            try RecordTable.createFirst(in: db)
            try db.execute(sql: "CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY)")
            try db.execute(sql: "INSERT INTO grdb_migrations VALUES ('1: records')")
            for (key, record) in zip(keys, records) {
                try db.execute(
                    sql: "INSERT INTO record VALUES (?, ?, ?)",
                    arguments: [Data(key.bytes), record.expires.milliseconds, Data(RecordCodec.encode(record))])
            }
        }
        let store = try SQLiteStore(path: self.file.path, mustHoldRecords: true)
        let done = try #require(try await store.record(for: keys[2]))
        #expect(done == RecordSummary(key: keys[2], record: records[2], readAt: done.readAt))
        #expect(try await store.records(in: .unknown, after: nil, limit: 10).records.map(\.key) == [keys[1]])
        #expect(try await store.unknownCount() == 1)
    }

    @Test("Sweeping large responses goes by bytes, so that a claim gets its turn in between")
    func sweepsByBytes() async throws {
        let clock = ManualClock()
        let store = try self.open(clock: clock)
        let large = StoredResponse(status: .ok, body: Array(repeating: 7, count: 1 << 20))
        for index in 0..<8 {
            guard case .granted(let claim) = try await store.claim(ClaimRequest(key: self.key("large-\(index)"))) else {
                continue
            }
            _ = try await store.complete(claim, with: .response(large), keyTTL: .seconds(60))
        }
        clock.advance(by: .seconds(61))
        let database = try RecordDatabase(path: self.file.path, busyTimeout: .seconds(5))
        let (count, hasMore) = try await database.writer.write { db in
            try RecordTable.sweep(RecordTable.SweepBounds(records: 500), now: Timestamp(milliseconds: .max - 1), in: db)
        }
        #expect(count == 1 && hasMore, "A megabyte is the most for one transaction")
        #expect(try await store.sweepExpired(limit: 3) == 3)
        #expect(try await store.sweepExpired(limit: 100) == 4)
        #expect(try await store.sweepExpired(limit: 100) == 0)
    }

    @Test("Sweeping 500 responses of a megabyte lets claims be granted in between", .timeLimit(.minutes(3)))
    func sweepsBetweenClaims() async throws {
        let clock = ManualClock()
        let database = try DatabasePool(path: self.file.path)
        let store = try SQLiteStore(database, time: TimeSource(clock))
        let large = StoredResponse(status: .ok, body: Array(repeating: 7, count: 1 << 20))
        for index in 0..<500 {
            guard case .granted(let claim) = try await store.claim(ClaimRequest(key: self.key("large-\(index)"))) else {
                Issue.record("The key should be free")
                return
            }
            #expect(try await store.complete(claim, with: .response(large), keyTTL: .seconds(60)))
        }
        clock.advance(by: .seconds(61))
        let deletions = DeletionLog()
        database.add(transactionObserver: deletions)
        let isOver = Mutex(false)
        let sweep = Task {
            defer { isOver.withLock { $0 = true } }
            return try await store.sweepExpired(limit: 500)
        }
        var number = 0
        repeat {
            number += 1
            guard case .granted = try await store.claim(ClaimRequest(key: self.key("new-\(number)"))) else {
                Issue.record("The key should be free")
                return
            }
        } while !isOver.withLock { $0 }
        #expect(try await sweep.value == 500)

        let transactions = deletions.transactions
        #expect(transactions.reduce(0, +) == 500)
        #expect(transactions.allSatisfy { $0 <= 1 }, "A megabyte is the most for one transaction")
        // Those without a deletion are claims.
        let first = try #require(transactions.firstIndex { $0 > 0 })
        let last = try #require(transactions.lastIndex { $0 > 0 })
        #expect(transactions[first...last].contains(0), "No claim was granted while the sweep went on")
    }

    @Test("keeps what it has if the clock is set back or ahead")
    func clockJumps() async throws {
        let clock = ManualClock()
        let store = try self.open(clock: clock)
        let request = ClaimRequest(key: try self.key(), keyTTL: .seconds(60))
        clock.advance(by: .seconds(1000))
        try await self.complete(request, in: store)
        clock.advance(by: .seconds(-900))
        guard case .completed = try await store.claim(request) else {
            Issue.record("A clock that is set back makes nothing expire")
            return
        }
        clock.advance(by: .seconds(1_000_000_000))
        #expect(try await store.record(for: request.key) == nil)
        guard case .granted = try await store.claim(request) else {
            Issue.record("After its time the key is free")
            return
        }
    }

    @Test("sweeps out expired records while it runs as a service")
    func sweeps() async throws {
        let clock = ManualClock()
        let store = try SQLiteStore(path: self.file.path, sweepInterval: .seconds(60), time: TimeSource(clock))
        let request = ClaimRequest(key: try self.key(), keyTTL: .seconds(60))
        try await self.complete(request, in: store)
        let service = Task { try await store.run() }
        await clock.waitForSleepers()
        clock.advance(by: .seconds(61))
        try await eventually {
            try self.file.edit { try Int.fetchOne($0, sql: "SELECT count(*) FROM idemptx_record") } == 0
        }
        service.cancel()
        try await service.value
    }
}

extension SQLiteStore {
    /// What a claim throws; `nil` if it throws nothing.
    func claimError(_ key: StorageKey) async -> StoreError? { await self.claimError(ClaimRequest(key: key)) }

    /// What a claim throws; `nil` if it throws nothing.
    func claimError(_ request: ClaimRequest) async -> StoreError? {
        do {
            _ = try await self.claim(request)
            return nil
        } catch {
            return error as? StoreError
        }
    }
}

/// How many records each transaction has deleted.
private final class DeletionLog: TransactionObserver, Sendable {
    private struct State {
        var transactions: [Int] = []
        var deletions = 0
    }

    private let state = Mutex(State())

    var transactions: [Int] { self.state.withLock { $0.transactions } }

    func observes(eventsOfKind eventKind: DatabaseEventKind) -> Bool {
        if case .delete = eventKind { true } else { false }
    }

    func databaseDidChange(with event: DatabaseEvent) {
        self.state.withLock { $0.deletions += 1 }
    }

    func databaseDidCommit(_ db: Database) {
        self.state.withLock { state in
            state.transactions.append(state.deletions)
            state.deletions = 0
        }
    }

    func databaseDidRollback(_ db: Database) {
        self.state.withLock { $0.deletions = 0 }
    }
}
