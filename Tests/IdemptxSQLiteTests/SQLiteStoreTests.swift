import Foundation
import GRDB
import HTTPTypes
import Idemptx
import IdemptxTesting
import ServiceLifecycle
import TestSupport
import Testing

@testable import IdemptxSQLite

@Suite("The SQLite store")
struct SQLiteStoreTests {
    private let file: TemporaryFile

    init() throws {
        self.file = try TemporaryFile()
    }

    private func open(busyTimeout: Duration = .seconds(5), clock: ManualClock? = nil) throws -> SQLiteStore {
        try SQLiteStore(
            path: self.file.path, busyTimeout: busyTimeout, time: clock.map { TimeSource($0) } ?? .wallClock)
    }

    private func key(_ text: String = "k-1") throws -> StorageKey {
        StorageKey(scope: .unscoped, key: try IdempotencyKey(text))
    }

    private let answer = StoredResponse(
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
        guard case .replay(.response(let replayed)) = try await self.open().claim(request) else {
            Issue.record("The outcome is gone")
            return
        }
        #expect(replayed == self.answer)
    }

    private func complete(_ request: ClaimRequest, in store: SQLiteStore) async throws {
        guard case .execute(let claim) = try await store.claim(request) else {
            Issue.record("The key should be free")
            return
        }
        #expect(try await store.complete(claim, with: .response(self.answer), keyTTL: .seconds(60)))
    }

    // That a power cut takes nothing back cannot be tried here; the setting that promises it can be looked up.
    @Test("commits to the disk, not only to the system")
    func isDurable() throws {
        let database = try RecordDatabase(path: self.file.path, busyTimeout: .seconds(5))
        let (synchronous, journal) = try database.pool.writeWithoutTransaction { db in
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
        let store: any IdempotencyStore & Service & KeyInspecting & ExpirySweeping = try self.open()
        #expect(try await store.statistics().total == 0)
    }

    @Test("finishes what it is asked, whether or not the caller waits for it")
    func cancelledCaller() async throws {
        let store = try self.open()
        let key = try self.key()
        let gate = Gate()
        let complete = Task { [answer] in
            await gate.pass()
            guard case .execute(let claim) = try await store.claim(ClaimRequest(key: key)) else { return false }
            return try await store.complete(claim, with: .response(answer), keyTTL: .seconds(60))
        }
        complete.cancel()
        gate.open()
        #expect(try await complete.value)
        #expect(try await store.record(for: key)?.record.state == .completed(.response(self.answer)))
    }

    @Test("says so if another process writes for too long, and changes nothing")
    func busy() async throws {
        let store = try self.open(busyTimeout: .milliseconds(50))
        let key = try self.key()
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(path: self.file.path, configuration: configuration)
        try await other.writeWithoutTransaction { db in try db.execute(sql: "BEGIN IMMEDIATE") }
        #expect(await store.claimError(key)?.code == .unavailable)
        try await other.writeWithoutTransaction { db in try db.execute(sql: "ROLLBACK") }
        #expect(try await store.record(for: key) == nil)
        try await self.complete(ClaimRequest(key: key), in: store)
    }

    @Test("keeps what it has if the clock is set back or ahead")
    func clockJumps() async throws {
        let clock = ManualClock()
        let store = try self.open(clock: clock)
        let request = ClaimRequest(key: try self.key(), keyTTL: .seconds(60))
        clock.advance(by: .seconds(1000))
        try await self.complete(request, in: store)
        clock.advance(by: .seconds(-900))
        guard case .replay = try await store.claim(request) else {
            Issue.record("A clock that is set back makes nothing expire")
            return
        }
        clock.advance(by: .seconds(1_000_000_000))
        #expect(try await store.record(for: request.key) == nil)
        guard case .execute = try await store.claim(request) else {
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
        try await eventually { try self.file.edit { try Int.fetchOne($0, sql: "SELECT count(*) FROM record") } == 0 }
        service.cancel()
        try await service.value
    }
}

extension SQLiteStore {
    /// What a claim throws; `nil` if it throws nothing.
    func claimError(_ key: StorageKey) async -> StoreError? {
        do {
            _ = try await self.claim(ClaimRequest(key: key))
            return nil
        } catch {
            return error as? StoreError
        }
    }
}
