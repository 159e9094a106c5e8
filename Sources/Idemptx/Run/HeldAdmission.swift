/// What became of a claim, as the runner sees it: an ``Admission`` whose claim is being kept alive.
enum HeldAdmission: Sendable {
    case execute(HeldLease)
    case replay(Outcome)
    case inProgress(remainingLease: Duration)
    case mismatch
    case outcomeUnknown
}
