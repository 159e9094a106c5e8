import Idemptx

/// What the records of a store are called inside Redis.
struct RecordNames: Sendable {
    let prefix: String

    func key(of key: StorageKey) -> [UInt8] {
        Array((self.prefix + key.description).utf8)
    }

    /// Braces put the channel into the slot of the key, so that one script may write the one and publish to the other.
    func channel(of key: StorageKey) -> String {
        "{\(self.prefix)\(key)}"
    }

    /// The record that a key of Redis belongs to; `nil` if it is not one of ours.
    func storageKey(of name: [UInt8]) -> StorageKey? {
        let text = String(decoding: name, as: UTF8.self)
        guard text.hasPrefix(self.prefix) else { return nil }
        return StorageKey(hexadecimal: String(text.dropFirst(self.prefix.count)))
    }

    /// A pattern that all our keys match (Redis' `SCAN`).
    var pattern: String {
        let escaped = self.prefix.map { "*?[]\\^".contains($0) ? "\\\($0)" : "\($0)" }.joined()
        return escaped + String(repeating: "?", count: 2 * StorageKey.byteCount)
    }
}
