import ArgumentParser
import Idemptx

/// `idemptx keys stats`: how many records there are.
struct KeyStatistics: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats", abstract: "Counts the records by their state.")

    @OptionGroup var store: StoreOptions

    @Flag(help: "Prints JSON.")
    var json = false

    func run() async throws {
        let statistics = try await self.store.use { try await $0.statistics() }
        var counts = RecordState.allCases.map { ($0.rawValue, statistics.count(of: $0)) }
        counts.append(("total", statistics.total))
        if self.json {
            try Output.write(json: Dictionary(uniqueKeysWithValues: counts))
        } else {
            try Output.write(table: [["STATE", "RECORDS"]] + counts.map { [$0, "\($1)"] })
        }
    }
}
