import Foundation
import Idemptx
import IdemptxSQLite
import IdemptxTesting
import Testing

@Suite("The SQLite store")
struct SQLiteStoreTests {
    @Test("keeps the laws of a store")
    func conforms() async throws {
        let path = NSTemporaryDirectory() + "/" + UUID().uuidString + ".sqlite"
        try await StoreConformance { clock in try SQLiteStore(path: path, time: TimeSource(clock)) }.runAll()
    }
}
