import ArgumentParser
import Idemptx

/// Which store to look into.
struct StoreOptions: ParsableArguments {
    @Option(help: "Where the records are. (default: sqlite:idemptx.sqlite)")
    var store: String?

    @Option(
        help: "The configuration file of the proxy, for its store, scope headers and namespace.", completion: .file())
    var config: String?

    /// The settings of a server that count here, as far as `flags` do not say otherwise.
    func settings(flags: [String: String?] = [:]) throws -> Settings {
        let flags = ["store": self.store, "config": self.config].merging(flags) { $1 }
        return try Settings(flags: flags, file: try ConfigurationFile(namedIn: flags))
    }

    /// Does something with the store, whose errors are told in a sentence.
    func use<Value>(_ body: (any RecordCounting) async throws -> Value) async throws -> Value {
        let store = try await self.open()
        do {
            return try await body(store)
        } catch let error as StoreError {
            throw CommandError(error.message)
        }
    }

    /// Changes a record.
    ///
    /// If the reply is lost, the change may have been made all the same, or may still be.
    static func change<Result>(_ key: StorageKey, _ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as StoreError where error.code == .replyLost {
            throw CommandError(
                "\(error.message) It may take effect all the same: look with 'idemptx keys show \(key)'.")
        }
    }

    private func open() async throws -> any RecordCounting {
        var settings = try self.settings()
        let store = try StoreSettings(&settings)
        guard store.location != .memory else {
            throw CommandError("--store: the records of a memory store can be seen only by their own process.")
        }
        return try await store.open(mustHoldRecords: true)
    }
}
