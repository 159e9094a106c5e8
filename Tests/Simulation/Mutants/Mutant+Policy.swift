import Idemptx

extension Mutant {
    /// The policy, with the mistake of a mutant.
    func change(_ policy: inout IdempotencyPolicy) {
        switch self {
        case .serverErrorsRelease: policy.dispositions[500] = .release
        case .unavailableReleases: policy.dispositions[503] = .release
        case .bypassesStore: policy.onStoreFailure = .bypass
        case .waiterLeavesEarly: policy.waitTimeout = policy.waitTimeout / 4
        case .callerWaitsForStore: policy.completionRetryTime = .seconds(60)
        default: break
        }
    }
}
