import Idemptx

/// What the records of a store are called inside Redis.
struct RecordNames: Sendable {
    let prefix: String
    private let prefixBytes: [UInt8]
    private let outcomePrefix: [UInt8]

    init(prefix: String) {
        self.prefix = prefix
        self.prefixBytes = Array(prefix.utf8)
        self.outcomePrefix = Array((prefix + "outcome:").utf8)
    }

    func key(of key: StorageKey) -> [UInt8] {
        var name: [UInt8] = []
        name.reserveCapacity(self.prefixBytes.count + 2 * StorageKey.byteCount)
        self.append(key, to: &name)
        return name
    }

    /// Where an outcome stands that is too large to be beside its record's header.
    ///
    /// Braces put it into the slot of the record, so that one script may write both.
    func outcome(of key: StorageKey) -> [UInt8] {
        self.braced(key, after: self.outcomePrefix)
    }

    /// The channel on which changes of a record are announced, in the slot of the record, too.
    ///
    /// ``RecordScripts/complete`` makes it as well.
    func channel(of key: StorageKey) -> [UInt8] {
        self.braced(key, after: [])
    }

    /// The sorted set of the claims under a rule that keeps unknown outcomes, by the ends of their leases.
    var unsettled: [UInt8] { self.prefixBytes + Array("unsettled".utf8) }

    private func braced(_ key: StorageKey, after start: [UInt8]) -> [UInt8] {
        var name: [UInt8] = []
        name.reserveCapacity(self.prefixBytes.count + 2 * StorageKey.byteCount + start.count + 2)
        name.append(contentsOf: start)
        name.append(UInt8(ascii: "{"))
        self.append(key, to: &name)
        name.append(UInt8(ascii: "}"))
        return name
    }

    private func append(_ key: StorageKey, to name: inout [UInt8]) {
        name.append(contentsOf: self.prefixBytes)
        for byte in key.bytes {
            name.append(Self.digit(byte >> 4))
            name.append(Self.digit(byte & 0xF))
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }

    /// The record that a key of Redis belongs to; `nil` if it is not one of ours.
    func storageKey(of name: [UInt8]) -> StorageKey? {
        let text = String(decoding: name, as: UTF8.self)
        guard text.hasPrefix(self.prefix) else { return nil }
        return StorageKey(String(text.dropFirst(self.prefix.count)))
    }

    /// A pattern that all our records match (Redis' `SCAN`).
    var pattern: String {
        // By scalars: a mark behind a bracket would make it another character.
        let escaped = self.prefix.unicodeScalars.map { "*?[]\\^".unicodeScalars.contains($0) ? "\\\($0)" : "\($0)" }
            .joined()
        return escaped + String(repeating: "?", count: 2 * StorageKey.byteCount)
    }
}
