import Idemptx

/// Which responses are kept, by the name of the policy.
enum ReplayRule: String, Choice {
    case atMostOnce = "at-most-once"
    case retryServerErrors = "retry-server-errors"
    case successesOnly = "successes-only"

    var policy: ReplayPolicy {
        switch self {
        case .atMostOnce: .atMostOnce
        case .retryServerErrors: .retryServerErrors
        case .successesOnly: .successesOnly
        }
    }
}
