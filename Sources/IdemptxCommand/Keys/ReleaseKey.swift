import ArgumentParser
import Idemptx

/// `idemptx keys release`: lets the next retry run.
struct ReleaseKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release",
        abstract: "Frees a key whose operation has not ended, so that its next retry runs.")

    @OptionGroup var store: StoreOptions

    @OptionGroup var record: RecordOptions

    @OptionGroup var confirmation: Confirmation

    @Flag(help: "Also while an attempt is running: the operation can then run twice.")
    var force = false

    func run() async throws {
        try await self.store.use { store in
            let key = try await self.record.storageKey(in: store, of: self.store)
            try self.confirmation.require("Release \(key)? Its next retry runs.")
            try Self.report(await store.release(key, force: self.force))
        }
    }

    private static func report(_ release: OperatorRelease) throws {
        switch release {
        case .released: try Output.write("Released.\n")
        case .absent: throw CommandError("There is no such record.")
        case .completed:
            throw CommandError("The operation has ended; if it is to run again, remove the record.")
        case .leaseRunning(let remaining):
            let time = RecordRow.text(remaining.wholeMilliseconds)
            throw CommandError(
                "An attempt is running, with \(time) left of its lease; --force releases the key all the same.")
        }
    }
}
