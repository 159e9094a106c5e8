import ArgumentParser
import Idemptx

/// `idemptx keys remove`: forgets an operation.
struct RemoveKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Deletes a record in whatever state, so that the next request with its key runs.")

    @OptionGroup var store: StoreOptions

    @OptionGroup var record: RecordOptions

    @OptionGroup var confirmation: Confirmation

    @Option(help: "Why, for the log.")
    var reason = "not given"

    func validate() throws {
        try self.record.requireOne()
    }

    func run() async throws {
        try await self.store.use { store in
            let key = try await self.record.storageKey(in: store, of: self.store)
            try self.confirmation.require("Remove \(key)? The next request with its key runs.")
            let isRemoved = try await StoreOptions.change(key) { try await store.remove(key, reason: self.reason) }
            guard isRemoved else {
                throw CommandError("There is no such record.")
            }
            try Output.write("Removed.\n")
        }
    }
}
