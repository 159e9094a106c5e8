/// What an operation does in one of its executions.
struct Behaviour: Sendable {
    enum End: Int, CaseIterable, Sendable {
        /// 201.
        case succeeds
        /// 201, with a body that is too large to be kept.
        case succeedsAtLength
        /// 200, in pieces.
        case streams
        /// 500, after its effect.
        case fails
        /// An error, after its effect.
        case throwsError
        /// 429: nothing was done.
        case isRefused
        /// 503: who knows.
        case isUnavailable
        /// 200, and the operation says that nothing was done.
        case releases
        case marksUnknown
        case leavesTombstone

        var status: Int {
            switch self {
            case .succeeds, .succeedsAtLength: 201
            case .streams, .releases, .marksUnknown, .leavesTombstone: 200
            case .fails, .throwsError: 500
            case .isRefused: 429
            case .isUnavailable: 503
            }
        }

        /// Whether the operation has an effect before it ends so.
        var hasEffect: Bool { self != .isRefused && self != .releases }
    }

    /// How long it takes until its effect, and from there to its end.
    let before: Int
    let after: Int
    let end: End
    /// Whether it stops when it is cancelled.
    let isCancellable: Bool

    init(random: inout SeededRandom) {
        self.before = random.pick([0, 1, 20, 200, 1_000])
        self.after = random.pick([0, 1, 20, 400, 2_500, 6_000])
        // Freed keys are where attempts meet.
        self.end = random.pick([.succeeds, .succeeds, .succeeds, .isRefused, random.pick(End.allCases)])
        self.isCancellable = random.chance(perMille: 500)
    }
}
