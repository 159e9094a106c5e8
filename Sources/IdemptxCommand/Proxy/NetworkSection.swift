#if Proxy
import Idemptx
import IdemptxProxy

/// Where the proxy listens, and its upstream.
enum NetworkSection: SettingSection {
    static let title = "What is in front of what"
    static let change = """
        A changed value takes effect with the next start. The files of the certificate are read again on `SIGHUP`, and when \
        they change.
        """

    static let settings: [Setting<ProxyOptions>] = [
        Setting("upstream", \.upstream, "The API: http://HOST:PORT, https://HOST:PORT or unix:/PATH."),
        Setting("host", \.host, "The address to listen on."),
        Setting("port", \.port, as: Port.self, "The port to listen on; 0 for any that is free."),
        Setting(
            "tlsCert", \.tlsCert,
            "The proxy's certificate, in PEM format, followed by those that signed it: makes it speak HTTPS.",
            form: .file),
        Setting("tlsKey", \.tlsKey, "The key of that certificate, in PEM format.", form: .file),
        Setting("tlsMinVersion", \.tlsMinVersion, "The oldest version of TLS that clients may speak."),
        Setting(
            "upstreamCA", \.upstreamCA,
            "The certificate of the authority that signed the API's, in PEM format; the system's if nothing is said.",
            form: .file),
        Setting("upstreamInsecure", \.upstreamInsecure, "Believes any certificate of the API."),
        Setting("hostHeader", \.hostHeader, "Whose Host header the API gets: client or upstream."),
        Setting(
            "forwardedHeaders", \.forwardedHeaders,
            "Whether Forwarded and X-Forwarded headers of clients are replaced or extended."),
        Setting(
            "corsOrigins", \.corsOrigins, as: OriginList.self,
            "The origins whose pages may read responses; if nothing is said, everything passes as the API says."),
        Setting("corsCredentials", \.corsCredentials, "Lets pages of these origins send cookies."),
        Setting(
            "keepAcceptEncoding", \.keepAcceptEncoding,
            "Passes Accept-Encoding of guarded requests on, so that not every client may be able to read a replay."),
    ]
    static var rows: [SettingRow] { Self.settings.map(\.row) }
}
#endif
