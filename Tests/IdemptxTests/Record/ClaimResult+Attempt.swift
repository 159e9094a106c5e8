import Idemptx

extension ClaimResult where Grant == ClaimGrant {
    /// The claim is granted, with this number.
    static func attempt(_ number: Int, after unknownAttempt: UnknownAttempt? = nil) -> Self {
        .granted(ClaimGrant(attempt: number, unknownAttempt: unknownAttempt))
    }
}
