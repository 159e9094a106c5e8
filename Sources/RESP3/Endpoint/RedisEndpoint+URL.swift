extension RedisEndpoint {
    /// Understands a URL.
    ///
    /// ```
    /// redis://[user:password@]host[:port][/database]              rediss://… with TLS
    /// redis+sentinel://[user:password@]host[:port],…/name[/database]   rediss+sentinel://…
    /// redis+cluster://[user:password@]host[:port],…               rediss+cluster://…
    /// redis+unix:///path/to.sock[?db=n]
    /// ```
    ///
    /// The default port is 6379, and 26379 for sentinels. User and password are percent-decoded.
    ///
    /// ## Options
    ///
    /// - `tls_ca`: PEM file of the authority to trust instead of the system's.
    /// - `tls_cert`, `tls_key`: PEM files of the client's certificate and key.
    /// - `tls_server_name`: the name that the server's certificate must bear.
    /// - `tls_insecure=true`: accept any certificate.
    /// - `sentinel_user`, `sentinel_password`: what to log in with at the sentinels.
    /// - `user`, `password`, `db`: for a Unix socket, whose URL has no other place for them.
    ///
    /// - Parameter url: The URL.
    /// - Throws: ``InvalidRedisURL`` with one sentence that quotes no credential.
    package init(url: String) throws(InvalidRedisURL) {
        let parts = try RedisURL(url)
        var options = Options(parts.query)
        switch parts.scheme {
        case "redis", "rediss":
            try self.init(standalone: parts)
        case "redis+sentinel", "rediss+sentinel":
            try self.init(sentinel: parts, &options)
        case "redis+cluster", "rediss+cluster":
            try self.init(cluster: parts)
        case "redis+unix":
            try self.init(unixSocket: parts, &options)
        default:
            throw InvalidRedisURL(
                "The scheme of the Redis URL is none of redis, rediss, redis+sentinel, rediss+sentinel, redis+cluster, "
                    + "rediss+cluster and redis+unix.")
        }
        if parts.scheme.hasPrefix("rediss") { self.tls = try options.takeTLS() }
        try options.checkEmpty()
    }

    private init(standalone parts: RedisURL) throws(InvalidRedisURL) {
        let addresses = try parts.addresses(defaultPort: 6379)
        guard let address = addresses.first, addresses.count == 1 else {
            throw InvalidRedisURL("Several hosts need redis+sentinel:// or redis+cluster://.")
        }
        self.init(
            .standalone(address), credentials: try parts.credentials(), database: try Self.database(parts.path))
    }

    private init(sentinel parts: RedisURL, _ options: inout Options) throws(InvalidRedisURL) {
        let path = parts.path.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = path.first, !name.isEmpty else {
            throw InvalidRedisURL("A URL for sentinels ends with the name of the primary: redis+sentinel://host/name.")
        }
        // Redis permits no other names. A mistyped separator would make a password part of one.
        guard name.wholeMatch(of: /[A-Za-z0-9._\-]+/) != nil else {
            throw InvalidRedisURL("The name of a primary has only letters, digits, and the characters . - and _.")
        }
        self.init(
            .sentinel(try parts.addresses(defaultPort: 26379), primary: String(name)),
            credentials: try parts.credentials(),
            sentinelCredentials: try options.takeCredentials(user: "sentinel_user", password: "sentinel_password"),
            database: try Self.database(path.dropFirst().first ?? ""))
    }

    private init(cluster parts: RedisURL) throws(InvalidRedisURL) {
        guard try Self.database(parts.path) == 0 else {
            throw InvalidRedisURL("A Redis cluster has only database 0.")
        }
        self.init(.cluster(try parts.addresses(defaultPort: 6379)), credentials: try parts.credentials())
    }

    private init(unixSocket parts: RedisURL, _ options: inout Options) throws(InvalidRedisURL) {
        guard parts.hosts.isEmpty, parts.userInfo == nil, !parts.path.isEmpty else {
            throw InvalidRedisURL("A URL for a Unix socket has three slashes: redis+unix:///path/to.sock.")
        }
        // A mistyped separator would make a password part of the path, which is shown.
        guard parts.path.wholeMatch(of: /[A-Za-z0-9._~+,%\/\-]+/) != nil else {
            throw InvalidRedisURL("The path of the Redis URL has a character that has to be percent-encoded.")
        }
        self.init(
            .standalone(.unixSocket(path: "/" + (try PercentEncoding.decode(parts.path, of: "path")))),
            credentials: try options.takeCredentials(user: "user", password: "password"),
            database: try Self.database(options.take("db").map { $0[...] } ?? ""))
    }

    private static func database(_ text: Substring) throws(InvalidRedisURL) -> Int {
        if text.isEmpty { return 0 }
        guard let number = UInt16(text) else { throw InvalidRedisURL("The database of the Redis URL is not a number.") }
        return Int(number)
    }
}

/// The options of a URL that have not been read yet.
private struct Options {
    private static let names: Set = [
        "tls_ca", "tls_cert", "tls_key", "tls_server_name", "tls_insecure",
        "sentinel_user", "sentinel_password", "user", "password", "db",
    ]

    private var values: [String: String]

    init(_ values: [String: String]) {
        self.values = values
    }

    mutating func take(_ name: String) -> String? {
        self.values.removeValue(forKey: name)
    }

    mutating func takeCredentials(user: String, password: String) throws(InvalidRedisURL) -> Credentials? {
        let (name, secret) = (self.take(user), self.take(password))
        guard let secret else {
            guard name == nil else { throw InvalidRedisURL("The Redis URL has \(user) but not \(password).") }
            return nil
        }
        return Credentials(user: name, password: secret)
    }

    mutating func takeTLS() throws(InvalidRedisURL) -> TLSSettings {
        var settings = TLSSettings(serverName: self.take("tls_server_name"))
        if let path = self.take("tls_ca") { settings.trust = .authority(path: path) }
        switch self.take("tls_insecure") {
        case nil, "false": break
        case "true": settings.trust = .insecure
        default: throw InvalidRedisURL("The option tls_insecure of the Redis URL is neither true nor false.")
        }
        switch (self.take("tls_cert"), self.take("tls_key")) {
        case (nil, nil): break
        case (let certificate?, let key?):
            settings.identity = TLSSettings.Identity(certificatePath: certificate, keyPath: key)
        default: throw InvalidRedisURL("The options tls_cert and tls_key of the Redis URL need each other.")
        }
        return settings
    }

    func checkEmpty() throws(InvalidRedisURL) {
        guard !self.values.isEmpty else { return }
        let known = self.values.keys.filter { Self.names.contains($0) }.sorted().joined(separator: ", ")
        // The name of one that is not known may be the rest of a password that holds an unescaped question mark.
        throw InvalidRedisURL("The Redis URL has an option that does not fit here\(known.isEmpty ? "" : ": \(known)").")
    }
}
