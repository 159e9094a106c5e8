import Foundation
import GRDB
import Idemptx
import IdemptxSQLite

/// A file for one test, removed with what SQLite puts beside it.
final class TemporaryFile: Sendable {
    let directory = NSTemporaryDirectory() + "/idemptx-" + UUID().uuidString
    var path: String { self.directory + "/store.sqlite" }

    init() throws {
        try FileManager.default.createDirectory(atPath: self.directory, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: self.directory)
    }

    /// Works on the file as another program would.
    func edit<Value>(_ body: (Database) throws -> Value) throws -> Value {
        try DatabaseQueue(path: self.path).writeWithoutTransaction(body)
    }
}
