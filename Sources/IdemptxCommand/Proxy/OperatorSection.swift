#if Proxy
/// Who the callers are, and what the operator sees.
enum OperatorSection: SettingSection {
    static let title = "Callers, and what the operator sees"

    static let settings: [Setting<ProxyOptions>] = [
        Setting(
            "scopeHeader", \.scopeHeader, as: HeaderNameList.self,
            "The headers by which callers are told apart; their credentials if nothing is said."),
        Setting("adminPort", \.adminPort, as: Port.self, "The port of a server with /healthz, /readyz and /metrics."),
        Setting("adminHost", \.adminHost, "The address of that server."),
        Setting(
            "logRequests", \.logRequests,
            "Logs the client's address, method, path, status, bytes and duration of each request."),
    ]
    static var rows: [SettingRow] { Self.settings.map(\.row) }
}
#endif
