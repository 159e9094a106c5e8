import ArgumentParser
import Idemptx

/// Which record is meant.
struct RecordOptions: ParsableArguments {
    /// As many digits as logs show.
    static let shortLength = 16

    @Argument(help: "The record: at least the first 16 of its 64 hexadecimal digits.")
    var record: String?

    @OptionGroup(title: "Instead of a record")
    var clientKey: ClientKeyOptions

    func validate() throws {
        guard self.record == nil || self.clientKey.key == nil else { throw Self.needsOne }
    }

    /// Whether a record is named.
    var isGiven: Bool { self.record != nil || self.clientKey.key != nil }

    func requireOne() throws {
        guard self.isGiven else { throw Self.needsOne }
    }

    private static let needsOne = ValidationError("Name a record, or a client's key with --key.")

    /// The name of the record in the store.
    func storageKey(in store: any KeyInspecting, of options: StoreOptions) async throws -> StorageKey {
        guard let record else { return try self.clientKey.storageKey(options) }
        let digits = record.lowercased()
        if let key = StorageKey(digits) { return key }
        guard (Self.shortLength..<64).contains(digits.count), digits.allSatisfy(\.isHexDigit) else {
            throw CommandError("'\(record)' is not a record: at least 16 of its 64 hexadecimal digits are needed.")
        }
        return try await self.search(for: digits, in: store)
    }

    /// Looks through all records, since a store finds one by its whole name only.
    private func search(for digits: String, in store: any KeyInspecting) async throws -> StorageKey {
        var found: Set<StorageKey> = []
        var cursor: String?
        repeat {
            let page = try await store.records(in: nil, after: cursor, limit: 500)
            found.formUnion(page.records.map(\.key).filter { $0.description.hasPrefix(digits) })
            cursor = page.next
        } while cursor != nil
        guard let key = found.first else { throw CommandError("There is no record \(digits).") }
        guard found.count == 1 else { throw CommandError("Several records begin with \(digits): give more digits.") }
        return key
    }
}
