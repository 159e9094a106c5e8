import ArgumentParser
import Foundation
import Idemptx

/// Which store to look into.
struct StoreOptions: ParsableArguments {
    @Option(help: "Where the records are. (default: sqlite:idemptx.sqlite)")
    var store: String?

    /// Does something with the store, whose errors are told in a sentence.
    func use<Value>(_ body: (any KeyInspecting) async throws -> Value) async throws -> Value {
        let store = try await self.open()
        do {
            return try await body(store)
        } catch let error as StoreError {
            throw StartError(error.message)
        }
    }

    private func open() async throws -> any KeyInspecting {
        var settings = Settings(flags: ["store": self.store])
        let location = try settings.value("store", default: StoreLocation.standard)
        switch location {
        case .memory:
            throw StartError("--store: the records of a memory store can be seen only by their own process.")
        case .sqlite(let path) where !FileManager.default.fileExists(atPath: path):
            throw StartError("--store: there is no file '\(path)'.")
        case .sqlite, .redis:
            return try await location.open()
        }
    }
}
