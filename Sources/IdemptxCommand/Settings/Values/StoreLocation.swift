/// Where records are kept, as `--store` says it.
enum StoreLocation: SettingValue, Equatable {
    case memory
    case sqlite(path: String)
    case redis(url: String)
    case postgres(url: String)

    static let expectation = """
        a store: memory, sqlite:PATH, postgres://HOST/DATABASE, redis://HOST, rediss://HOST, \
        redis+sentinel://HOSTS/NAME, redis+cluster://HOSTS, or redis+unix://PATH
        """

    static let standard = StoreLocation.sqlite(path: "idemptx.sqlite")

    /// The text is not quoted: it may hold a password.
    static func flaw(of text: String) -> String { "this is not \(Self.expectation)." }

    init?(setting text: String) {
        let scheme = text.prefix { $0 != ":" }.lowercased()
        let rest = String(text.dropFirst(scheme.count + 1))
        switch scheme {
        case "memory" where text == "memory": self = .memory
        case "sqlite" where !rest.isEmpty: self = .sqlite(path: rest)
        case _ where scheme.hasPrefix("redis") && rest.hasPrefix("//"): self = .redis(url: text)
        case "postgres", "postgresql":
            guard rest.hasPrefix("//") else { return nil }
            self = .postgres(url: text)
        default: return nil
        }
    }

    var shown: FileValue {
        switch self {
        case .memory: .text("memory")
        case .sqlite(let path): .text("sqlite:\(path)")
        case .redis(let url), .postgres(let url): .text(Self.withoutPasswords(url))
        }
    }

    /// Shows only what cannot be part of a password, however the URL is malformed.
    private static func withoutPasswords(_ url: String) -> String {
        let scheme = url.prefix { $0 != ":" }
        // A combining mark would hide the character in front of it from a search.
        guard url.utf8.allSatisfy({ $0 < 0x80 }) else { return "\(scheme)://***" }
        let rest = url.dropFirst(scheme.count + 3)
        let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let place = (parts.first ?? "").split(separator: "@", omittingEmptySubsequences: false)
        let query = parts.count > 1 ? parts[1] : nil
        // A password may hold a question mark that is not escaped.
        let isClear = query?.contains("@") != true
        let isSocket = scheme.lowercased().hasSuffix("unix")
        guard isClear, let last = place.last, isSocket ? Self.isPath(last) : Self.namesServers(last) else {
            return "\(scheme)://***"
        }
        let options = query.map { "?" + $0.split(separator: "&").map(Self.withoutSecret).joined(separator: "&") }
        return "\(scheme)://\(place.count > 1 ? "***@" : "")\(last)\(options ?? "")"
    }

    /// Whether it is hosts, perhaps with ports, and perhaps a name and the number of a database.
    private static func namesServers(_ text: Substring) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let servers = parts[0].split(separator: ",", omittingEmptySubsequences: false)
        // PostgreSQL's may be among the options.
        if text.hasPrefix("/"), parts.count == 2 { return parts[1].wholeMatch(of: /[\w.\-%]*/) != nil }
        let areServers = servers.allSatisfy { $0.wholeMatch(of: /([\w.\-]+|\[[\da-fA-F:.]+\])(:\d{1,5})?/) != nil }
        return areServers && parts.count <= 3 && parts.dropFirst().allSatisfy { $0.wholeMatch(of: /[\w.\-%]*/) != nil }
    }

    private static func isPath(_ text: Substring) -> Bool { text.wholeMatch(of: /\/[\w.\-~+,%\/]+/) != nil }

    private static func withoutSecret(_ option: Substring) -> String {
        let name = option.prefix { $0 != "=" }
        // A second question mark or another separator by mistake would make a password part of the value.
        let isPlain = option.dropFirst(name.count + 1).wholeMatch(of: /[\w.\-+~%\/,:\[\]]*/) != nil
        if Self.openOptions.contains(name), isPlain { return String(option) }
        return Self.secretOptions.contains(name) ? "\(name)=***" : "***"
    }

    private static let openOptions: Set<Substring> = [
        "db", "tls_ca", "tls_cert", "tls_key", "tls_server_name", "tls_insecure", "dbname", "host", "port", "service",
        "sslmode", "sslrootcert", "target_session_attrs", "connect_timeout",
    ]
    private static let secretOptions: Set<Substring> = [
        "user", "password", "sentinel_user", "sentinel_password", "sslpassword",
    ]
}
