import ArgumentParser
import Idemptx

/// `idemptx keys show`: one record.
struct ShowKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows a record, and with --body the response that it keeps.")

    @OptionGroup var store: StoreOptions

    @OptionGroup var record: RecordOptions

    @Flag(help: "Prints nothing but the body of the stored response; with --json, adds it and the header fields.")
    var body = false

    @Flag(help: "Prints JSON.")
    var json = false

    func validate() throws {
        try self.record.requireOne()
    }

    func run() async throws {
        let record = try await self.store.use { store in
            try await store.record(for: self.record.storageKey(in: store, of: self.store))
        }
        guard let record else { throw CommandError("There is no such record.") }
        if self.json {
            try Output.write(json: RecordDetails(record, withResponse: self.body))
        } else if self.body {
            try Output.write(self.storedBody(of: record))
        } else {
            try Output.write(table: RecordDetails(record, withResponse: false).rows)
        }
    }

    private func storedBody(of record: RecordSummary) throws(CommandError) -> [UInt8] {
        guard case .response(let response) = record.outcome else {
            throw CommandError("The record keeps no response.")
        }
        return response.body
    }
}
