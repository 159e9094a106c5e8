import Foundation
import NIOHTTP1
import RedisServerTesting
import TestSupport
import Testing

@Suite("Settings of idemptx proxy")
struct ProxySettingsTests {
    private let directory: CommandProcess.Directory
    private static let upstream = LocalServer(port: 9)

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    private func write(_ text: String) throws -> String {
        let file = URL(filePath: self.directory.path).appending(path: "config.json")
        try Data(text.utf8).write(to: file)
        return file.path
    }

    /// What `--print-config` prints.
    private func printed(_ arguments: [String], environment: [String: String] = [:]) async throws -> [String: Any] {
        let process = try CommandProcess(
            ["proxy", "--print-config"] + arguments, in: self.directory, environment: environment)
        #expect(try await process.exitStatus() == 0)
        #expect(process.errorText.isEmpty)
        let object = try JSONSerialization.jsonObject(with: Data(process.outputText.utf8))
        return try #require(object as? [String: Any])
    }

    private func refusal(_ arguments: [String]) async throws -> String {
        let process = try CommandProcess(["proxy"] + arguments, in: self.directory)
        #expect(try await process.exitStatus() != 0)
        #expect(process.outputText.isEmpty)
        return process.errorText
    }

    @Test("A flag goes before the environment, that before the file, and that before the default")
    func layers() async throws {
        let path = try self.write(
            """
            {"upstream": "http://a:1", "keyTTL": "3h", "lease": "3s", "waitTimeout": "3m", "port": 3, "methods": ["PUT"]}
            """
        )
        let printed = try await self.printed(
            ["--config", path, "--key-ttl", "1h"],
            environment: ["IDEMPTX_KEY_TTL": "2h", "IDEMPTX_LEASE": "2s", "IDEMPTX_REQUIRE_KEY": "true"])
        #expect(printed["keyTTL"] as? String == "1h")
        #expect(printed["lease"] as? String == "2s")
        #expect(printed["waitTimeout"] as? String == "3m")
        #expect(printed["port"] as? Int == 3)
        #expect(printed["methods"] as? [String] == ["PUT"])
        #expect(printed["requireKey"] as? Bool == true)
        #expect(printed["maxRequestBody"] as? String == "1MiB")
    }

    @Test("A rule for some paths goes before all of them")
    func routes() async throws {
        let path = try self.write(
            """
            {"upstream": "http://a:1", "routes": [{"path": "/pay/*", "keyTTL": "7d", "requireKey": true,
             "methods": ["POST"], "lease": "5s", "waitTimeout": "1s", "replayPolicy": "successes-only",
             "keyFrom": "json:/id"}]}
            """)
        let printed = try await self.printed(["--config", path, "--key-ttl", "1h", "--mode", "observe"])
        let routes = try #require(printed["routes"] as? [[String: Any]])
        let route = try #require(routes.first)
        #expect(routes.count == 1)
        #expect(route["path"] as? String == "/pay/*")
        #expect(route["keyTTL"] as? String == "7d")
        #expect(route["keyFrom"] as? String == "json:/id")
        #expect(route["replayPolicy"] as? String == "successes-only")
        #expect(route["mode"] as? String == "observe")
        #expect(printed["keyTTL"] as? String == "1h")
    }

    @Test("What is printed can be used as a file, and means the same")
    func roundTrip() async throws {
        let path = try self.write(
            #"{"upstream": "https://a", "scopeHeader": ["X-A", "X-B"], "routes": [{"path": "/**", "mode": "off"}]}"#)
        let first = try CommandProcess(["proxy", "--print-config", "--config", path], in: self.directory)
        #expect(try await first.exitStatus() == 0)
        let copy = try self.write(first.outputText)
        let second = try CommandProcess(["proxy", "--print-config", "--config", copy], in: self.directory)
        #expect(try await second.exitStatus() == 0)
        #expect(second.outputText == first.outputText)
        #expect(second.outputText.contains("X-B"))
    }

    @Test("Passwords are not printed")
    func secrets() async throws {
        for store in [
            "redis://user:geheim@h:6379/1", "redis://:geheim@h", "redis+unix:///s.sock?password=geheim&db=2",
            "redis+sentinel://u:geheim@h:1,i:2/m?sentinel_password=geheim", "redis://u:ge/heim@h", "REDIS://u:geheim@h",
            "redis+sentinel://h:1/m?sentinel_password=ge@heim", "redis+cluster://u:geheim@h:1,i:2", "redis://geheim@h",
            "redis://:%67eheim@h", "redis://u:geheim", "redis://u:ge?heim@h", "redis+unix:///s.sock?password=ge&heim",
            "redis://h/0?PASSWORD=geheim", "redis://u:ge#heim@h", "redis:///:geheim", "redis://u:ge@heim@h",
            "postgres://u:geheim@h:5432/orders?sslmode=require", "postgresql://h/orders?password=geheim",
            "postgres:///orders?host=/run/postgresql&password=geheim", "postgres://u:ge/heim@h/orders",
            "rediss://h?tls_ca=/ca.pem?password=geheim", "rediss://h?tls_server_name=a;password=geheim",
        ] {
            let printed = try await self.printed(["--upstream", "http://a", "--store", store])
            let text = try #require(printed["store"] as? String)
            #expect(!text.contains("heim"))
            #expect(text.contains("***"))
        }
    }

    @Test("A store that is none is not quoted: it may hold a password")
    func malformedStore() async throws {
        for store in [
            #""redis://u:geheim@h""#, "redis:/u:geheim@h", "mysql://u:geheim@h/db", "redis://u:geheim@h:x",
            "postgres:u:geheim@h", "postgres://u:geheim@h/db?nonsense=1", "redis+unix:///r.sock&password=geheim",
            "redis://h&password=geheim",
        ] {
            let text = try await self.refusal(["--upstream", "http://a", "--store", store])
            #expect(text.hasPrefix("Error: --store: "))
            #expect(!text.contains("geheim"))
        }
    }

    @Test("Every one can be made in the environment and in a file")
    func everywhere() async throws {
        let values: [String: Any] = [
            "adminHost": "::1", "adminPort": 1, "bodyBudget": "15MiB", "bodyGapTimeout": "1s", "claimRetryTime": "16s",
            "claimTimeout": "17s", "completionRetryTime": "18s", "connectTimeout": "2s", "corsCredentials": true,
            "corsOrigins": ["https://a", "https://b"], "drainTimeout": "3s", "keepAcceptEncoding": true,
            "dropHeaders": ["X-C"], "fingerprintBody": "bytes", "fingerprintHeaders": ["X-D"], "fingerprintHost": false,
            "fingerprintIgnore": ["/a", "/b/c"], "forwardedHeaders": "extend", "honorNoStore": true, "host": "::",
            "hostHeader": "upstream", "idleTimeout": "4s", "keepHeaders": ["X-E"], "keepStatuses": ["503"],
            "keyFrom": "json:/id", "keyTTL": "5d", "lease": "6s", "logRequests": true, "maxBodySize": "7GiB",
            "maxBodyTime": "19s", "maxConnections": 8, "maxHeaderCount": 20, "maxHeaderSize": "9KiB",
            "maxKeyLength": 21, "maxRequestBody": "10MiB", "maxResponseBody": "11B", "maxRunTime": "22s",
            "maxUnstored": "23KiB", "maxUpstreamConnections": 24, "maxWaiters": 25, "maxWaitersPerKey": 26,
            "minBodyRate": "27B", "postgresConnectTimeout": "37s", "postgresConnections": 38, "postgresListen": false,
            "postgresSchema": "s", "postgresTimeout": "39s", "problemTypeBase": "https://a.example/",
            "redisClientName": "c",
            "redisCommandTimeout": "28s", "redisConnectTimeout": "29s", "redisConnections": 30, "redisPrefix": "p:",
            "redisReplicaTimeout": "14ms", "redisReplicas": 2, "redisRequireNoEviction": true,
            "releaseStatuses": ["402", "419"], "replayCache": "31MiB", "replayCacheAge": "32s", "retryHint": "33s",
            "sqliteTimeout": "34s", "tlsMinVersion": "1.3", "tombstoneStatuses": ["202"],
            "unknownStatuses": ["504"], "unresolvedRetention": "35d", "upstreamIdleTimeout": "36s",
            "validateSignature": false,
            "methods": ["PUT"], "mode": "off", "namespace": "n", "onAbandoned": "refuse", "onStoreFailure": "bypass",
            "port": 12, "replayPolicy": "successes-only", "requireKey": true, "scopeHeader": ["X-A", "X-B"],
            "store": "memory", "tlsCert": "c", "tlsKey": "k", "upstream": "https://u/", "upstreamCA": "a",
            "upstreamInsecure": false, "upstreamTimeout": "13s", "waitTimeout": "14s", "routes": [],
        ]
        let path = try self.write(String(decoding: try JSONSerialization.data(withJSONObject: values), as: UTF8.self))
        let byFile = try await self.printed(["--config", path])
        #expect(byFile as NSDictionary == values as NSDictionary)
        #expect(try await self.printed(["--upstream", "http://a"]).keys.sorted() == values.keys.sorted())

        var environment: [String: String] = [:]
        for (name, value) in values where name != "routes" {
            let words = name.replacing("TTL", with: "Ttl").replacing("CA", with: "Ca")
                .replacing(/[A-Z]/) { "_" + $0.output }.uppercased()
            environment["IDEMPTX_" + words] = (value as? [String])?.joined(separator: ",") ?? "\(value)"
        }
        let byEnvironment = try await self.printed([], environment: environment)
        #expect(byEnvironment as NSDictionary == values as NSDictionary)
    }

    static let refusals: [(arguments: [String], sentence: String)] = [
        ([], "--upstream: the address of the API is needed, such as http://localhost:3000."),
        (["--upstream", "ftp://a"], "--upstream: The upstream must start with http://, https:// or unix:/."),
        (["--upstream", "http://a", "--port", "x"], "--port: 'x' is not a port, a number from 0 to 65535."),
        (
            ["--upstream", "http://a", "--methods", "post"],
            "--methods: 'post' is not a list of HTTP methods in capital letters, such as POST,PATCH."
        ),
        (
            ["--upstream", "http://a", "--max-request-body", "1MB"],
            "--max-request-body: '1MB' is not a size, such as 512B, 64KiB, 1MiB or 2GiB."
        ),
        (
            ["--upstream", "http://a", "--replay-policy", "never"],
            "--replay-policy: 'never' is not one of at-most-once, retry-server-errors, successes-only."
        ),
        (
            ["--upstream", "http://a", "--key-from", "X-Id"],
            "--key-from: 'X-Id' is not a place of keys: header:NAME, header:NAME,header:NAME, query:NAME, "
                + "form:NAME, or json:/POINTER into the body."
        ),
        (
            ["--upstream", "http://a", "--scope-header", "a b"],
            "--scope-header: 'a b' is not a list of names of header fields, such as X-Tenant,Authorization."
        ),
        (["--upstream", "http://a", "--tls-cert", "a.pem"], "--tls-key: the certificate needs its key."),
        (
            ["--upstream", "http://a", "--tls-cert", "a.pem", "--tls-key", "b.pem"],
            "The certificate a.pem cannot be read: it is missing, or not in PEM format."
        ),
        (["--upstream", "http://a", "--config", "missing.json"], "--config: the file 'missing.json' cannot be read."),
        (["--upstream", "http://a", "--host", ""], "--host: it must not be empty."),
        (
            ["--upstream", "http://a", "--max-header-size", "0B"],
            "--max-header-size: '0B' is not a size above zero, such as 512B, 64KiB, 1MiB or 2GiB."
        ),
        (
            ["--upstream", "http://a", "--keep-statuses", "402", "--release-statuses", "401,402"],
            "--release-statuses: 402 is in --keep-statuses, too."
        ),
        (
            ["--upstream", "http://a", "--unknown-statuses", "100"],
            "--unknown-statuses: '100' is not a list of statuses from 200 to 599, such as 402,419."
        ),
        (
            ["--upstream", "http://a", "--redis-replicas", "1", "--redis-replica-timeout", "2s"],
            "--redis-replica-timeout: it has to be shorter than --redis-command-timeout."
        ),
        (
            ["--upstream", "http://a", "--postgres-schema", "a-b"],
            "--postgres-schema: 'a-b' is not a name of at most 48 lower-case letters, digits and underscores."
        ),
        (
            ["--upstream", "http://a", "--redis-prefix", "a{\u{301}"],
            "--redis-prefix: 'a{\u{301}' is not a text without braces, in which a cluster would read a hash tag."
        ),
        (["--upstream", "http://a", "--mode", "loud"], "--mode: 'loud' is not one of enforce, observe, off."),
        (
            ["--upstream", "http://a", "--host", "192.0.2.1"],
            "Cannot listen on 192.0.2.1:8080: Cannot assign requested address."
        ),
    ]

    @Test("A bad one is refused in one sentence", arguments: refusals.indices)
    func isRefused(index: Int) async throws {
        let (arguments, sentence) = Self.refusals[index]
        #expect(try await self.refusal(arguments) == "Error: \(sentence)\n")
    }

    static let badFiles: [(text: String, sentence: String)] = [
        (#"{"leese": "1s"}"#, ": leese: there is no such setting. Did you mean lease?"),
        (#"{"config": "a"}"#, ": config: there is no such setting."),
        (#"{"lease": 1.5}"#, ", line 1: lease: It has to be a text, a whole number, true, false, or a list of texts."),
        (#"{"routes": {}}"#, ", line 1: routes: It has to be a list of objects."),
        (
            #"{"routes": [{"path": "/a", "mood": "x"}]}"#,
            ": routes[0].mood: there is no such setting."
        ),
        (
            #"{"routes": [{"path": "/a", "keyTTL": "x"}]}"#,
            ": routes[0].keyTTL: 'x' is not a duration above zero, such as 500ms, 30s, 15m, 24h or 7d."
        ),
        (#"{"routes": [{"mode": "off"}]}"#, ": routes[0].path: it is missing."),
        (#"{"routes": [1]}"#, ", line 1: routes[0]: It has to be an object."),
        (#"{"routes": [null]}"#, ", line 1: routes[0]: It has to be an object."),
        (#"{"keyTTL": "x"}"#, ": keyTTL: 'x' is not a duration above zero, such as 500ms, 30s, 15m, 24h or 7d."),
        (#"{"routes": [{"path": "a"}]}"#, ": routes[0].path: The path pattern a does not start with a slash."),
        ("{\n\"lease\": \"1s\",\n\"l\\u0065ase\": \"2s\"}", ", line 3: 'lease' is set twice."),
        ("{\"routes\": [\n{\"path\": \"/a\", \"path\": \"/b\"}]}", ", line 2: 'path' is set twice."),
        ("", ", line 1: This is no valid JSON: it ends too early."),
        ("[]", ", line 1: A JSON object was expected."),
        ("{\n", ", line 2: This is no valid JSON: it ends too early."),
        ("{\n\n\"lease\": 1s}", ", line 3: This is no valid JSON: '1s' is not expected here."),
        ("{\n\"lease\": \"1s\" \"mode\"", ", line 2: This is no valid JSON: '\"' is not expected here."),
        (
            #"{"routes": [{"path": "/a", "keepStatuses": [201], "unknownStatuses": [201]}]}"#,
            ": routes[0].unknownStatuses: 201 is in --keep-statuses, too."
        ),
    ]

    @Test("A bad file is refused in one sentence", arguments: badFiles.indices)
    func fileIsRefused(index: Int) async throws {
        let (text, sentence) = Self.badFiles[index]
        let path = try self.write(text)
        #expect(try await self.refusal(["--upstream", "http://a", "--config", path]) == "Error: \(path)\(sentence)\n")
    }

    @Test("A misspelt variable is refused, with what it may have meant")
    func misspeltVariable() async throws {
        for (name, suggestion) in [("LEESE", " Did you mean IDEMPTX_LEASE?"), ("WHATEVER_IT_IS", "")] {
            for command in ["proxy", "demo", "keys"] {
                let arguments = command == "keys" ? ["keys", "list"] : [command]
                let process = try CommandProcess(
                    arguments, in: self.directory, environment: ["IDEMPTX_\(name)": "1s", "IDEMPTX_TEST_X": "1"])
                #expect(try await process.exitStatus() != 0)
                #expect(process.errorText == "Error: IDEMPTX_\(name): there is no such setting.\(suggestion)\n")
            }
        }
    }

    @Test("The page of the documentation is what the table says: else run Scripts/write-settings")
    func page() async throws {
        let process = try CommandProcess(["proxy", "--print-settings-page"], in: self.directory)
        #expect(try await process.exitStatus() == 0)
        let page = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Sources/IdemptxProxy/IdemptxProxy.docc/Settings.md")
        #expect(process.outputText == (try String(contentsOf: page, encoding: .utf8)))
    }

    @Test("A store that cannot be reached, or a port that is taken, is told in one sentence")
    func unreachable() async throws {
        let redis = try await self.refusal(["--upstream", "http://a", "--store", "redis://127.0.0.1:1"])
        #expect(redis.hasPrefix("Error: --store: "))
        #expect(redis.split(separator: "\n").count == 1)

        let running = try await Proxy.start(for: Self.upstream, in: self.directory)
        for flag in ["--port", "--admin-port"] {
            let process = try CommandProcess(
                [
                    "proxy", "--upstream", "http://a", "--port", "0", "--drain-timeout", "1h", flag,
                    "\(running.server.port)", "--store",
                    "memory",
                ],
                in: self.directory)
            #expect(try await process.exitStatus() != 0)
            let sentence = "Error: Cannot listen on 127.0.0.1:\(running.server.port): Address already in use.\n"
            #expect(process.errorText == sentence)
            #expect(process.outputText.isEmpty)
        }
    }

    @Test("SIGHUP says what of the file is not in force")
    func overridden() async throws {
        let path = try self.write(#"{"mode": "enforce", "lease": "5s"}"#)
        let proxy = try await Proxy.start(
            for: Self.upstream, ["--config", path, "--mode", "observe"], in: self.directory,
            environment: ["IDEMPTX_LEASE": "6s"])
        proxy.process.signal(SIGHUP)
        try await eventually("The log says it") {
            proxy.process.errorText.contains(#"idemptx.overridden_by=["IDEMPTX_LEASE", "--mode"]"#)
        }
    }

    @Test("The proxy goes on if its output is not read")
    func unread() async throws {
        let port = try await FreePort.reserve()
        defer { FreePort.release(port) }
        let process = try CommandProcess(
            [
                "-c", #"exec "$0" proxy --store memory --upstream http://127.0.0.1:9 --port $1 >/dev/full"#,
                CommandProcess.executable.path, "\(port)",
            ],
            of: URL(filePath: "/bin/sh"), in: self.directory)
        let server = LocalServer(port: port)
        try await eventually("The proxy responds") { try await server.send(.GET, "/").status == 502 }
        process.signal(SIGTERM)
        #expect(try await process.exitStatus() == 0)
    }

    @Test("SIGHUP reads the rules again, and a bad file changes nothing")
    func reload() async throws {
        let path = try self.write(#"{"requireKey": true}"#)
        let proxy = try await Proxy.start(for: Self.upstream, ["--config", path], in: self.directory)
        func status() async throws -> Int { try await proxy.post("/orders", key: nil).status }
        #expect(try await status() == 400)

        _ = try self.write(#"{"requireKey": false, "drainTimeout": "5s"}"#)
        proxy.process.signal(SIGHUP)
        // Nobody listens behind the proxy: what passes gets 502.
        try await eventually("The rules are read again") { try await status() == 502 }
        #expect(proxy.process.errorText.contains("idemptx.needs_restart=[\"drainTimeout\"]"))

        _ = try self.write(#"{"requireKey": true, "keyTTL": "never"}"#)
        proxy.process.signal(SIGHUP)
        try await eventually("The bad file is told of") { proxy.process.errorText.contains("keyTTL: 'never'") }
        #expect(try await status() == 502)
    }
}
