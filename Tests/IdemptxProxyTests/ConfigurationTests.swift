import HTTPTestSupport
import Idemptx
import IdemptxProxy
import Testing

@Suite("A path pattern")
struct PathPatternTests {
    @Test(
        "matches",
        arguments: [
            ("/", "/"), ("/", "/?a"), ("/a", "/a"), ("/a", "/a?b=/c"), ("/a/", "/a/"), ("/a/*", "/a/b"),
            ("/*/b", "/a/b"),
            ("/a/*/c", "/a/%2F/c"), ("/a/**", "/a"), ("/a/**", "/a/"), ("/a/**", "/a/b/c"), ("/**", "/"),
            ("/**", "/a/b"),
            ("/a", "/%61"), ("/%61", "/a"), ("/%c3%a9", "/%C3%A9"), ("/a%2Fb", "/a%2fb"), ("/", "//"), ("/a", "//a"),
            ("/a", "/x/../a"), ("/a", "/%2e/a;v=1"),
            ("/a/", "/a/b/.."), ("/%zz", "/%zz"),
            ("/a%", "/a%"),
            ("/é", "/%C3%A9"), ("/a%2a", "/a*"),
        ])
    func matches(_ pattern: String, _ target: String) throws {
        #expect(try PathPattern(pattern).matches(target))
    }

    @Test(
        "does not match",
        arguments: [
            ("/", ""), ("/", "/a"), ("/a", "/A"), ("/a", "/a/"),
            ("/a", "/a/b"),
            ("/a/*", "/a"), ("/a/*", "/a/"), ("/a/*", "/a/b/c"), ("/a/**", "/ab"), ("/a/b", "/a%2Fb"), ("/a", "*"),
            ("/**", "*"), ("/a", "a"), ("/a", "/b?/a"), ("/%c3%a9", "/%c3"),
        ])
    func doesNotMatch(_ pattern: String, _ target: String) throws {
        #expect(try !PathPattern(pattern).matches(target))
    }

    @Test("is refused", arguments: ["", "a", "*", "/a*", "/**/a", "/a/***", "/a/b*c", "/a//b", "/a/../b", "/a;v"])
    func refused(_ text: String) {
        #expect(throws: InvalidProxyConfiguration.self) { try PathPattern(text) }
    }

    @Test("is known by its text")
    func description() throws {
        #expect(try PathPattern("/a/*/**").description == "/a/*/**")
    }
}

@Suite("The address of an upstream")
struct UpstreamAddressTests {
    @Test(
        "is accepted",
        arguments: [
            ("http://localhost", "http://localhost/"), ("http://localhost/", "http://localhost/"),
            ("HTTPS://api.example.test:8443", "https://api.example.test:8443/"),
            ("http://127.0.0.1:1", "http://127.0.0.1:1/"),
            ("http://[::1]:65535", "http://[::1]:65535/"), ("http://my_app-1", "http://my_app-1/"),
        ])
    func accepted(_ address: String, _ description: String) throws {
        #expect(try Upstream(address).description == description)
    }

    @Test(
        "is refused",
        arguments: [
            "", "localhost", "localhost:80", "ftp://a", "http://", "http:///a", "http://a/b", "http://a?b",
            "http://a#b",
            "http://user@a", "http://user:password@a", "http://a:0", "http://a:65536", "http://a:", "http://a:+1",
            "http://a:b", "http://a]",
            "http://a b", "http://[::1", "http://[a]b", "http://é", "unix:", "unix:app.sock", "http://a//",
        ])
    func refused(_ address: String) {
        #expect(throws: InvalidProxyConfiguration.self) { try Upstream(address) }
    }

    @Test("never shows up in what is said about a bad one, if it has a password")
    func password() {
        let error = #expect(throws: InvalidProxyConfiguration.self) { try Upstream("http://user:secret@a") }
        #expect(error?.description.contains("secret") == false)
    }
}

@Suite("A configuration")
struct ProxyConfigurationTests {
    @Test("has defaults with which the proxy starts")
    func defaults() throws {
        let configuration = ProxyConfiguration(upstream: try Upstream("http://localhost"))
        #expect(!configuration.rules.standard.required)
        _ = try ReverseProxy(configuration: configuration, store: MemoryStore(), logger: .silent)
    }

    @Test("is refused if no proxy can work with it", arguments: 0..<17)
    func refused(_ number: Int) throws {
        let changes: [(inout ProxyConfiguration) throws -> Void] = [
            { $0.port = -1 }, { $0.port = 65_536 }, { $0.limits.maxConnections = 0 }, { $0.limits.maxHeaderSize = 0 },
            { $0.limits.maxHeaderCount = 0 }, { $0.limits.maxBodySize = 0 }, { $0.limits.idleTimeout = .zero },
            { $0.limits.minimumBodyRate = 0 }, { $0.limits.maxUpstreamConnections = 0 },
            { $0.limits.connectTimeout = .zero },
            { $0.limits.upstreamTimeout = .zero }, { $0.limits.drainTimeout = .seconds(-1) },
            { $0.corsOrigins = ["shop.example"] }, { $0.corsOrigins = ["*"] }, { $0.corsOrigins = ["null"] },
            { $0.corsOrigins = ["https://shop.example/"] }, { $0.corsOrigins = ["https://a.example", "https://"] },
        ]
        var configuration = ProxyConfiguration(upstream: try Upstream("http://localhost"))
        try changes[number](&configuration)
        #expect(throws: InvalidProxyConfiguration.self) {
            try ReverseProxy(configuration: configuration, store: MemoryStore(), logger: .silent)
        }
    }
}
