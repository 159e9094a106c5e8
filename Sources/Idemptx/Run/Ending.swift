/// What is to become of a claim once its operation is over.
enum Ending: Sendable {
    case complete(Outcome)
    case release
    /// The lease ends now, and the record stays.
    case abandon

    init(_ disposition: ReplayPolicy.Disposition, of outcome: Outcome) {
        switch disposition {
        case .keep: self = .complete(outcome)
        case .tombstone: self = .complete(.tombstone(outcome.tombstone))
        case .release: self = .release
        }
    }
}
