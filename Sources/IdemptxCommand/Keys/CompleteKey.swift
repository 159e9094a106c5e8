import ArgumentParser
import Foundation
import HTTPTypes
import Idemptx

/// `idemptx keys complete`: stores an outcome that an operator has found out.
struct CompleteKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "complete",
        abstract: "Stores the response of an operation whose outcome is unknown, so that its retries get it.",
        discussion: """
            Find out first what became of the operation, such as by asking the bank. What you store here is what every \
            retry gets.
            """)

    @OptionGroup var store: StoreOptions

    @OptionGroup var record: RecordOptions

    @OptionGroup var confirmation: Confirmation

    @Option(help: "The status of the response, from 200 to 599.")
    var status: Int

    @Option(help: "A header field of the response, such as 'Content-Type: application/json'; once for each.")
    var header: [String] = []

    @Option(help: "The body of the response.")
    var body: String?

    @Option(help: "The file that holds the body of the response.", completion: .file())
    var bodyFile: String?

    @Flag(help: "Stores only that the operation is done, with its status and Location: its response is lost.")
    var tombstone = false

    @Option(help: "How long the outcome is kept. (default: 24h)")
    var keyTTL: String?

    @Option(help: "Why, for the log.")
    var reason: String

    @Flag(help: "Also while an attempt is running, whose own outcome is lost then.")
    var force = false

    func validate() throws {
        try self.record.requireOne()
        guard (200...599).contains(self.status) else { throw ValidationError("--status goes from 200 to 599.") }
        guard self.body == nil || self.bodyFile == nil else {
            throw ValidationError("Give the body once: with --body or with --body-file.")
        }
        guard !self.tombstone || (self.body == nil && self.bodyFile == nil) else {
            throw ValidationError("A tombstone has no body.")
        }
        guard !self.reason.allSatisfy(\.isWhitespace) else { throw ValidationError("--reason: say why, for the log.") }
    }

    func run() async throws {
        let outcome = try self.outcome()
        let settings = try self.store.settings(flags: ["keyTTL": self.keyTTL])
        let keyTTL = try settings.value("keyTTL", default: PositiveDuration(ClaimRequest.defaultKeyTTL)).content
        try await self.store.use { store in
            let key = try await self.record.storageKey(in: store, of: self.store)
            try self.confirmation.require("Complete \(key) with status \(self.status)? Its retries get that.")
            try Self.report(
                await StoreOptions.change(key) {
                    try await store.complete(
                        key, with: outcome, keyTTL: keyTTL, force: self.force, reason: self.reason)
                })
        }
    }

    private func outcome() throws(CommandError) -> Outcome {
        let fields = try self.fields()
        if self.tombstone {
            return .tombstone(Tombstone(status: self.status, location: fields[.location]))
        }
        return .response(
            StoredResponse(
                status: HTTPResponse.Status(code: self.status), headerFields: fields, body: try self.bodyBytes()))
    }

    private func fields() throws(CommandError) -> HTTPFields {
        var fields = HTTPFields()
        for line in self.header {
            // By scalars: a mark behind the colon would make it another character.
            let parts = line.unicodeScalars.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count == 2 ? String(parts[1]).trimmingCharacters(in: .whitespaces) : ""
            guard parts.count == 2, let name = HTTPField.Name(String(parts[0])), HTTPField.isValidValue(value) else {
                throw CommandError("--header: '\(line)' is not a header field, such as 'Location: /charges/1'.")
            }
            fields.append(HTTPField(name: name, value: value))
        }
        let kept = HeaderFilter(dropped: []).kept(fields)
        if let dropped = fields.first(where: { !kept.contains($0.name) }) {
            throw CommandError("--header: no response is kept with \(dropped.name): every replay gets one of its own.")
        }
        return kept
    }

    private func bodyBytes() throws(CommandError) -> [UInt8] {
        guard let bodyFile else { return Array((self.body ?? "").utf8) }
        guard let file = FileHandle(forReadingAtPath: bodyFile), let data = try? file.readToEnd() ?? Data() else {
            throw CommandError("--body-file: '\(bodyFile)' cannot be read.")
        }
        return Array(data)
    }

    private static func report(_ result: OperatorResult) throws {
        switch result {
        case .done: try Output.write("Completed.\n")
        case .absent: throw CommandError("There is no such record, or nothing runs under it.")
        case .alreadyCompleted:
            throw CommandError("The operation has an outcome already; nothing was changed.")
        case .leaseRunning(let remaining):
            let time = RecordRow.text(remaining.wholeMilliseconds)
            throw CommandError(
                "An attempt is running, with \(time) left of its lease; --force completes the key all the same.")
        }
    }
}
