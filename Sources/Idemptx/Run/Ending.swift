/// What is to become of a claim once its operation is over.
enum Ending: Sendable {
    case complete(Outcome)
    case release

    init(_ disposition: ReplayPolicy.Disposition, of outcome: Outcome) {
        switch disposition {
        case .keep: self = .complete(outcome)
        case .tombstone: self = .complete(.tombstone(outcome.tombstone))
        case .release: self = .release
        }
    }
}

/// What became of a claim.
enum Settlement: Sendable {
    /// The outcome is stored.
    case stored
    /// The key was given back.
    case released
    /// The outcome is not stored: another attempt has the key, or the store cannot be used.
    case unstored
}
