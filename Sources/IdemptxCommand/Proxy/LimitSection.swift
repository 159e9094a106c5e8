#if Proxy
import Idemptx
import IdemptxProxy

/// How much, and how long.
enum LimitSection: SettingSection {
    static let title = "Limits"

    static let settings: [Setting<ProxyLimits>] = [
        Setting(
            "maxConnections", \.maxConnections, as: PositiveInt.self,
            "How many clients may be connected at a time; more wait to be accepted."),
        Setting(
            "idleTimeout", \.idleTimeout, as: PositiveDuration.self,
            "How long the head of a request is waited for, from the opening of the connection or the last response."),
        Setting(
            "maxHeaderSize", \.maxHeaderSize, as: PositiveByteSize.self,
            "The largest head of a request; a larger one gets 431."),
        Setting(
            "maxHeaderCount", \.maxHeaderCount, as: PositiveInt.self,
            "How many header fields a request may have; one more gets 431."),
        Setting(
            "maxBodySize", \.maxBodySize, as: PositiveByteSize.self,
            "The largest body of any request; a larger one gets 413. No limit if nothing is said."),
        Setting(
            "bodyGapTimeout", \.bodyGapTimeout, as: PositiveDuration.self,
            "How long a client may send nothing of a body, or take nothing of its response."),
        Setting(
            "minBodyRate", \.minimumBodyRate, as: PositiveByteSize.self,
            "How much of a body a client has to send per second."),
        Setting(
            "maxBodyTime", \.maxBodyTime, as: PositiveDuration.self,
            "How long the body of a request may be waited for in all."),
        Setting(
            "maxUpstreamConnections", \.maxUpstreamConnections, as: PositiveInt.self,
            "How many connections to the API there may be at a time."),
        Setting(
            "connectTimeout", \.connectTimeout, as: PositiveDuration.self,
            "How long a request waits for a connection to the API."),
        Setting(
            "upstreamTimeout", \.upstreamTimeout, as: PositiveDuration.self,
            "How long the API may keep a request waiting; then its client gets 504."),
        Setting(
            "upstreamIdleTimeout", \.upstreamIdleTimeout, as: PositiveDuration.self,
            "How long a connection to the API is kept for the next request."),
        Setting(
            "drainTimeout", \.drainTimeout, "How long the end of the proxy waits for requests under way."),
    ]
    static var rows: [SettingRow] { Self.settings.map(\.row) }
}

extension ProxyLimits: SettingTarget {
    init() {
        self.init { _ in }
    }
}
#endif
