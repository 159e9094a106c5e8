#if Proxy
import IdemptxProxy

/// The oldest version of TLS that clients may speak.
enum TLSVersionChoice: String, Choice {
    case tls12 = "1.2"
    case tls13 = "1.3"

    var version: ProxyConfiguration.TLSVersion {
        switch self {
        case .tls12: .tls12
        case .tls13: .tls13
        }
    }
}
#endif
