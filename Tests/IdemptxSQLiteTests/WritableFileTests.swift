import Foundation
import GRDB
import Idemptx
import IdemptxSQLite
import TestSupport
import Testing

@Suite("A file that cannot be written to any more")
struct WritableFileTests {
    private let file: TemporaryFile

    init() throws {
        self.file = try TemporaryFile()
    }

    private func claim(_ key: StorageKey, in store: SQLiteStore) async -> StoreError.Code? {
        do {
            _ = try await store.claim(ClaimRequest(key: key))
            return nil
        } catch {
            return (error as? StoreError)?.code
        }
    }

    @Test("because it was moved or deleted is noticed, and used again once it is back", arguments: [true, false])
    func gone(isReplaced: Bool) async throws {
        let store = try SQLiteStore(path: self.file.path)
        let probe = StoreProbe(store, timeout: .seconds(1))
        try await probe.run()
        let completed = ClaimRequest(key: StorageKey())
        guard case .granted(let claim) = try await store.claim(completed) else { throw CancellationError() }
        #expect(try await store.complete(claim, with: .tombstone(Tombstone(status: 201)), keyTTL: .seconds(60)))

        let elsewhere = self.file.path + ".moved"
        try FileManager.default.moveItem(atPath: self.file.path, toPath: elsewhere)
        if isReplaced { try Data().write(to: URL(filePath: self.file.path)) }
        await #expect(throws: StoreError.self) { try await probe.run() }
        // A replay from it might be one of two that differ.
        for key in [completed.key, StorageKey()] { #expect(await self.claim(key, in: store) == .unavailable) }

        if isReplaced { try FileManager.default.removeItem(atPath: self.file.path) }
        try FileManager.default.moveItem(atPath: elsewhere, toPath: self.file.path)
        try await probe.run()
        #expect(await self.claim(completed.key, in: store) == nil)
    }

    @Test("because the disk is full is noticed")
    func full() async throws {
        let database = try DatabasePool(path: self.file.path)
        let store = try SQLiteStore(database)
        // Until the pages of the file that exist already are used up.
        try await database.writeWithoutTransaction { db in
            let pages = try #require(try Int.fetchOne(db, sql: "PRAGMA page_count"))
            try db.execute(sql: "PRAGMA max_page_count = \(pages)")
        }
        // Here and there, a page has room for one more.
        var refusals = 0
        while refusals < 100 { refusals = await self.claim(StorageKey(), in: store) == nil ? 0 : refusals + 1 }
        await #expect(throws: StoreError.self) { try await StoreProbe(store, timeout: .seconds(1)).run() }
    }
}
