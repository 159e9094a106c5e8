import ArgumentParser
import Idemptx

/// `idemptx keys release`: lets the next retry run.
struct ReleaseKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release",
        abstract: "Frees a key whose operation has no outcome, so that its next retry runs.",
        discussion: """
            With --state unknown, it frees all keys whose outcome is unknown, such as after an outage of an upstream that \
            did nothing.
            """)

    @OptionGroup var store: StoreOptions

    @OptionGroup var record: RecordOptions

    @OptionGroup var confirmation: Confirmation

    @Flag(help: "Also while an attempt is running: the operation can then run twice.")
    var force = false

    @Option(help: "Instead of one record, all in this state: unknown.")
    var state: RecordState?

    @Option(help: "With --state, only records that were first claimed longer ago than this, such as 1h.")
    var olderThan: String?

    @Option(help: "Why, for the log.")
    var reason = "not given"

    func validate() throws {
        guard let state else {
            guard self.olderThan == nil else { throw ValidationError("--older-than goes with --state unknown.") }
            return try self.record.requireOne()
        }
        guard state == .unknown else {
            throw ValidationError("--state: only records whose outcome is unknown can be released together.")
        }
        guard !self.record.isGiven else { throw ValidationError("Name a record, or a state, but not both.") }
        guard !self.force else { throw ValidationError("--force goes with one record only.") }
    }

    func run() async throws {
        try await self.store.use { store in
            if self.state != nil { return try await self.releaseUnknown(in: store) }
            let key = try await self.record.storageKey(in: store, of: self.store)
            try self.confirmation.require("Release \(key)? Its next retry runs.")
            try Self.report(
                await StoreOptions.change(key) {
                    try await store.release(key, force: self.force, reason: self.reason)
                })
        }
    }

    /// Asks once, about what it has found; what ends by itself meanwhile is left alone.
    private func releaseUnknown(in store: any KeyInspecting) async throws {
        let minimumAge = try RecordAge(olderThan: self.olderThan)
        var keys: [StorageKey] = []
        var cursor: String?
        repeat {
            let page = try await store.records(in: .unknown, after: cursor, limit: 1000)
            keys += page.records.filter(minimumAge.includes).map(\.key)
            cursor = page.next
        } while cursor != nil
        guard !keys.isEmpty else { return try Output.write("Released 0 keys.\n") }
        try self.confirmation.require(
            "Release \(keys.count) keys whose outcome is unknown? The next retry of each of them runs.")
        var released = 0
        for key in keys {
            let result = try await StoreOptions.change(key) {
                try await store.release(key, force: false, reason: self.reason)
            }
            if result == .done { released += 1 }
        }
        try Output.write("Released \(released) \(released == 1 ? "key" : "keys").\n")
    }

    private static func report(_ result: OperatorResult) throws {
        switch result {
        case .done: try Output.write("Released.\n")
        case .absent: throw CommandError("There is no such record.")
        case .alreadyCompleted:
            throw CommandError("The operation has ended; if it is to run again, remove the record.")
        case .leaseRunning(let remaining):
            let time = RecordRow.text(remaining.wholeMilliseconds)
            throw CommandError(
                "An attempt is running, with \(time) left of its lease; --force releases the key all the same.")
        }
    }
}
