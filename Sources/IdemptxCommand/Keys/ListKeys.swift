import ArgumentParser
import Idemptx

/// `idemptx keys list`: a page of records.
struct ListKeys: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists records: state, age, attempt, and what is left of lease and lifetime.",
        discussion: """
            On PostgreSQL, and on Redis without a cluster, --state unknown lists only what ran under the rules refuse and \
            recover: under rerun, the next retry settles it.
            """)

    private struct Listing: Encodable {
        let records: [RecordRow]
        let next: String?
    }

    @OptionGroup var store: StoreOptions

    @Option(help: "Only records in this state.")
    var state: RecordState?

    @Option(help: "Only records that were first claimed longer ago than this, such as 10m.")
    var olderThan: String?

    @Option(help: "About how many records to list.")
    var limit = 50

    @Option(help: "Goes on where the page ended that named this cursor.")
    var after: String?

    @Flag(help: "Prints JSON.")
    var json = false

    func validate() throws {
        guard (1...10_000).contains(self.limit) else { throw ValidationError("--limit goes from 1 to 10000.") }
    }

    func run() async throws {
        let minimumAge = try RecordAge(olderThan: self.olderThan)
        let listing = try await self.store.use { store in
            try await self.listing(of: store, minimumAge: minimumAge)
        }
        if self.json {
            try Output.write(json: listing)
        } else {
            try Output.write(table: [RecordRow.columns] + listing.records.map(\.cells))
            if let next = listing.next { Output.tell("There is more: --after \(next)\n") }
        }
    }

    /// Reads on until enough records have passed the filters.
    private func listing(of store: any KeyInspecting, minimumAge: RecordAge) async throws -> Listing {
        var rows: [RecordRow] = []
        var cursor = self.after
        repeat {
            let page = try await store.records(in: self.state, after: cursor, limit: self.limit)
            rows += page.records.filter(minimumAge.includes).map(RecordRow.init)
            cursor = page.next
        } while cursor != nil && rows.count < self.limit
        return Listing(records: rows, next: cursor)
    }
}
