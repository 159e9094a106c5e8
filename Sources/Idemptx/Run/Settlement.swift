/// What became of a claim.
enum Settlement: Sendable {
    /// The outcome is stored.
    case stored
    /// The key was given back.
    case released
    /// The outcome is not stored: another attempt has the key, or the store cannot be used.
    case unstored
}
