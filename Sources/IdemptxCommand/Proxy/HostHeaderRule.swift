#if Proxy
import IdemptxProxy

/// Whose `Host` the upstream gets.
enum HostHeaderRule: String, Choice {
    case client
    case upstream

    var field: ProxyConfiguration.HostField {
        switch self {
        case .client: .preserved
        case .upstream: .upstream
        }
    }
}
#endif
