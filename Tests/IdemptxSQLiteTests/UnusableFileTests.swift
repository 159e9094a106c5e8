import Foundation
import GRDB
import HTTPTypes
import Idemptx
import IdemptxSQLite
import Testing

@Suite("A file that the SQLite store cannot use")
struct UnusableFileTests {
    private let file: TemporaryFile

    init() throws {
        self.file = try TemporaryFile()
    }

    private func openingFails(_ path: String) -> StoreError? {
        do {
            _ = try SQLiteStore(path: path)
            return nil
        } catch {
            return error
        }
    }

    @Test("is refused in a sentence if it is not a database, cannot be made, or is a directory")
    func misconfigured() throws {
        try Data("This is not a database, however long it is read.".utf8).write(to: URL(filePath: self.file.path))
        for path in [self.file.path, self.file.directory + "/missing/store.sqlite", self.file.directory] {
            let error = try #require(self.openingFails(path))
            #expect(error.code == .misconfigured)
            #expect(error.message.hasPrefix("The SQLite file cannot be opened: "))
        }
    }

    @Test("is refused if it can only be read", .enabled(if: geteuid() != 0, "root may write every file"))
    func readOnly() throws {
        _ = try SQLiteStore(path: self.file.path)
        try FileManager.default.setAttributes([.posixPermissions: 0o444], ofItemAtPath: self.file.path)
        let error = try #require(self.openingFails(self.file.path))
        #expect(error.code == .misconfigured)
        #expect(error.message.contains("cannot be written"))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: self.file.path)
        #expect(self.openingFails(self.file.path) == nil)
    }

    @Test("is refused if a later version made it")
    func laterVersion() throws {
        _ = try SQLiteStore(path: self.file.path)
        try self.file.edit { db in try db.execute(sql: "INSERT INTO grdb_migrations VALUES ('3: later')") }
        let error = try #require(self.openingFails(self.file.path))
        #expect(error.code == .misconfigured)
        #expect(error.message.contains("later version"))
    }

    @Test("has a damaged record: that is an error, never a second run, until an operator removes it")
    func damagedRecord() async throws {
        let store = try SQLiteStore(path: self.file.path)
        let keys = try ["k-1", "k-2"].map { StorageKey(scope: .unscoped, key: try IdempotencyKey($0)) }
        for key in keys {
            guard case .granted(let claim) = try await store.claim(ClaimRequest(key: key)) else { continue }
            _ = try await store.complete(claim, with: .response(StoredResponse(status: .ok)), keyTTL: .seconds(60))
        }
        let damaged = Data(keys[0].bytes)
        try self.file.edit { db in
            try db.execute(sql: "UPDATE idemptx_record SET content = x'010203' WHERE key = ?", arguments: [damaged])
        }
        for _ in 0..<2 {
            #expect(await store.claimError(keys[0])?.code == .corruptRecord)
        }
        guard case .completed = try await store.claim(ClaimRequest(key: keys[1])) else {
            Issue.record("A damaged record does no harm to others")
            return
        }
        _ = try await store.remove(keys[0], reason: "a test")
        guard case .granted = try await store.claim(ClaimRequest(key: keys[0])) else {
            Issue.record("A removed record frees its key")
            return
        }
    }

    @Test("that is lost while it is used makes calls fail, and nothing else")
    func tableLost() async throws {
        let store = try SQLiteStore(path: self.file.path)
        let key = StorageKey(scope: .unscoped, key: try IdempotencyKey("k-1"))
        try self.file.edit { db in try db.execute(sql: "DROP TABLE idemptx_record") }
        #expect(await store.claimError(key)?.code == .misconfigured)
        await #expect(throws: StoreError.self) { try await store.statistics() }
    }
}
