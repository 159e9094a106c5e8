/// A setting has a value that cannot be used.
struct SettingError: Error, CustomStringConvertible {
    /// Where the setting was made, as the person who made it names it: `--key-ttl`, `IDEMPTX_KEY_TTL`, `keyTTL`, or
    /// `routes[0].keyTTL`.
    let place: String
    /// What is wrong with it, to follow its place.
    let flaw: String

    var description: String { "\(self.place): \(self.flaw)" }
}
