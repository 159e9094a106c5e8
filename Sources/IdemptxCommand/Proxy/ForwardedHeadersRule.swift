#if Proxy
import IdemptxProxy

/// What happens to a client's `Forwarded` and `X-Forwarded-…`.
enum ForwardedHeadersRule: String, Choice {
    case replace
    case extend

    var fields: ProxyConfiguration.ForwardedFields {
        switch self {
        case .replace: .replaced
        case .extend: .extended
        }
    }
}
#endif
