import Testing

@testable import RESP3

@Suite("A Redis URL")
struct RedisURLTests {
    static let understood: [(String, RedisEndpoint)] = [
        ("redis://localhost", RedisEndpoint(.standalone(.tcp(host: "localhost", port: 6379)))),
        ("redis://localhost/", RedisEndpoint(.standalone(.tcp(host: "localhost", port: 6379)))),
        ("REDIS://10.0.0.1:7000/3", RedisEndpoint(.standalone(.tcp(host: "10.0.0.1", port: 7000)), database: 3)),
        ("redis://[::1]", RedisEndpoint(.standalone(.tcp(host: "::1", port: 6379)))),
        ("redis://[fe80::2]:7001/1", RedisEndpoint(.standalone(.tcp(host: "fe80::2", port: 7001)), database: 1)),
        (
            "redis://:p%40ss@host",
            RedisEndpoint(.standalone(.tcp(host: "host", port: 6379)), credentials: Credentials(password: "p@ss"))
        ),
        (
            "redis://us%3Aer:p@s%25s@host",
            RedisEndpoint(
                .standalone(.tcp(host: "host", port: 6379)),
                credentials: Credentials(user: "us:er", password: "p@s%s"))
        ),
        ("rediss://host", RedisEndpoint(.standalone(.tcp(host: "host", port: 6379)), tls: TLSSettings())),
        (
            "rediss://host:1?tls_ca=/ca.pem&tls_cert=/c.pem&tls_key=/k.pem&tls_server_name=redis.example",
            RedisEndpoint(
                .standalone(.tcp(host: "host", port: 1)),
                tls: TLSSettings(
                    trust: .authority(path: "/ca.pem"),
                    identity: .init(certificatePath: "/c.pem", keyPath: "/k.pem"), serverName: "redis.example"))
        ),
        (
            "rediss://host?tls_insecure=true",
            RedisEndpoint(.standalone(.tcp(host: "host", port: 6379)), tls: TLSSettings(trust: .insecure))
        ),
        (
            "redis+sentinel://a,b:26380,[::1]:3/main",
            RedisEndpoint(
                .sentinel(
                    [.tcp(host: "a", port: 26379), .tcp(host: "b", port: 26380), .tcp(host: "::1", port: 3)],
                    primary: "main"))
        ),
        (
            "rediss+sentinel://u:p@a/main/2?sentinel_password=s&sentinel_user=w",
            RedisEndpoint(
                .sentinel([.tcp(host: "a", port: 26379)], primary: "main"),
                credentials: Credentials(user: "u", password: "p"),
                sentinelCredentials: Credentials(user: "w", password: "s"), database: 2, tls: TLSSettings())
        ),
        (
            "redis+cluster://u:p@a,b:7001",
            RedisEndpoint(
                .cluster([.tcp(host: "a", port: 6379), .tcp(host: "b", port: 7001)]),
                credentials: Credentials(user: "u", password: "p"))
        ),
        ("rediss+cluster://a", RedisEndpoint(.cluster([.tcp(host: "a", port: 6379)]), tls: TLSSettings())),
        ("redis+unix:///run/redis.sock", RedisEndpoint(.standalone(.unixSocket(path: "/run/redis.sock")))),
        (
            "redis+unix:///a%20b.sock?db=4&password=p&user=u",
            RedisEndpoint(
                .standalone(.unixSocket(path: "/a b.sock")), credentials: Credentials(user: "u", password: "p"),
                database: 4)
        ),
    ]

    @Test("is understood", arguments: Self.understood)
    func understanding(url: String, endpoint: RedisEndpoint) throws {
        #expect(try RedisEndpoint(url: url) == endpoint)
    }

    static let refused = [
        "", "localhost", "redis:localhost", "http://host", "redis://", "redis://:7000", "redis://host:",
        "redis://host:0", "redis://host:65536", "redis://host:x", "redis://host/x", "redis://host/-1",
        "redis://host/70000",
        "redis://a,b", "redis://a,", "redis://[::1", "redis://[::1]x", "redis://[]", "redis://user@host",
        "redis://user:@host", "redis://host?tls_ca=/x", "redis://host?db=1", "redis://host?x=1",
        "rediss://host?tls_cert=/x", "rediss://host?tls_insecure=maybe", "rediss://host?tls_ca=a&tls_ca=b",
        "redis+sentinel://host", "redis+sentinel://host/", "redis+sentinel://host/name/x",
        "redis+sentinel://host/name?sentinel_user=x", "redis+cluster://host/1", "redis+unix://host/path",
        "redis+unix:///", "redis+unix://", "redis://u:%zz@host", "redis://u:%f@host", "redis://u:%ff@host",
        "redis://::1", "redis://ho st", "redis://host#x", "redis://ho\u{301}st", "redis://[::1&x]",
        "redis+sentinel://a/b&c",
        "redis+unix:///a&b", "redis+unix:///a:b",
    ]

    @Test("that is wrong is refused with one sentence", arguments: Self.refused)
    func refusal(url: String) {
        let error = #expect(throws: InvalidRedisURL.self) { try RedisEndpoint(url: url) }
        #expect(error?.description.hasSuffix(".") == true)
    }

    @Test(
        "never shows its password, right or wrong",
        arguments: [
            "redis://u:hunter2@host/x", "redis://u:hunter2@host:x", "redis://u:hunter2%@host", "http://u:hunter2@host",
            "redis://u:pre?hunter2@host", "redis://u:pre?a=1&hunter2@host", "redis://u:pre?hunter2=1&hunter2=2@host",
            "redis://u:pre/hunter2@host", "redis://hunter2@host", "redis://u:pre?x=%hunter2@host",
            "redis+unix:///s?password=hunter2&x=1", "redis+sentinel://a/b?sentinel_password=hunter2&x=1",
            "redis://u:hunter2@host", "redis+cluster://u:hunter2@host", "redis://u:hunter2@\u{308}host:x",
            "redis://host&password=hunter2", "redis+unix:///s&password=hunter2",
            "redis+sentinel://a/b&password=hunter2",
        ])
    func redaction(url: String) {
        do {
            let endpoint = try RedisEndpoint(url: url)
            #expect(!"\(endpoint) \(endpoint.credentials, default: "-")".contains("hunter2"))
            #expect(!String(reflecting: endpoint.credentials).contains("hunter2"))
        } catch {
            #expect(!"\(error)".contains("hunter2"))
        }
    }

    @Test("is described by its kind and place", arguments: Self.understood.map(\.1))
    func description(endpoint: RedisEndpoint) throws {
        var bare = endpoint
        bare.credentials = nil
        bare.sentinelCredentials = nil
        bare.database = 0
        bare.tls = endpoint.tls.map { _ in TLSSettings() }
        if case .standalone(.unixSocket("/a b.sock")) = endpoint.topology { return }
        #expect(try RedisEndpoint(url: "\(endpoint)") == bare)
    }
}
