import Foundation
import PostgresServerTesting
import RedisServerTesting
import TestSupport
import Testing

@Suite("idemptx proxy whose store may be bypassed", .timeLimit(.minutes(10)))
struct ProxyBypassTests {
    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    @Test("starts without Redis, whatever is wrong with it, and uses it once it can")
    func startsWithoutRedis() async throws {
        var options = RedisServerOptions()
        options.password = "correct"
        try await RedisServer.with(options) { server in
            let shop = try await Shop.start(in: self.directory)
            let proxy = try await Proxy.start(
                for: shop.server, ["--store", server.url(":wrong@"), "--on-store-failure", "bypass"], in: self.directory
            )
            for number in 1...2 {
                let response = try await proxy.post("/slow-orders?seconds=0", key: "k-1")
                #expect(response.status == 201)
                #expect(response.header("X-Idempotency-Status") == "unstored")
                #expect(try await shop.orders().count == number)
            }
            #expect(proxy.process.errorText.contains("operations run unprotected"))
            #expect(!proxy.process.errorText.contains("wrong@"))

            try await server.kill()
            let second = try await Proxy.start(
                for: shop.server, ["--store", server.url(":correct@"), "--on-store-failure", "bypass"],
                in: self.directory)
            #expect(try await second.post("/slow-orders?seconds=0", key: "k-2").status == 201)
            try await server.restart()
            try await eventually("The store is used") {
                try await second.post("/slow-orders?seconds=0", key: "k-3").header("Idempotent-Replayed") == "true"
            }
        }
    }

    @Test("starts without PostgreSQL, and installs the schema there once it can")
    func startsWithoutPostgres() async throws {
        try await PostgresServer.with { server in
            try await server.kill()
            let shop = try await Shop.start(in: self.directory)
            let proxy = try await Proxy.start(
                for: shop.server,
                [
                    "--store", "postgres://postgres@\(server.host):\(server.port)/postgres", "--on-store-failure",
                    "bypass",
                ],
                in: self.directory)
            let response = try await proxy.post("/slow-orders?seconds=0", key: "k-1")
            #expect(response.status == 201)
            #expect(response.header("X-Idempotency-Status") == "unstored")
            try await server.restart()
            try await eventually("The store is used") {
                try await proxy.post("/slow-orders?seconds=0", key: "k-1").header("Idempotent-Replayed") == "true"
            }
        }
    }

    @Test("starts without its SQLite file, and opens it once it can")
    func startsWithoutFile() async throws {
        let shop = try await Shop.start(in: self.directory)
        let folder = self.directory.path + "/records"
        let proxy = try await Proxy.start(
            for: shop.server, ["--store", "sqlite:\(folder)/idemptx.sqlite", "--on-store-failure", "bypass"],
            in: self.directory)
        let response = try await proxy.post("/slow-orders?seconds=0", key: "k-1")
        #expect(response.status == 201)
        #expect(response.header("X-Idempotency-Status") == "unstored")
        #expect(proxy.process.errorText.contains("operations run unprotected"))
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        try await eventually("The store is used") {
            try await proxy.post("/slow-orders?seconds=0", key: "k-1").header("Idempotent-Replayed") == "true"
        }
        proxy.process.signal(SIGTERM)
        #expect(try await proxy.process.exitStatus() == 0)
    }

    @Test("starts without libpq, and ends when it is told to")
    func startsWithoutLibrary() async throws {
        let shop = try await Shop.start(in: self.directory)
        let store = ["--store", "postgres://127.0.0.1:1/orders"]
        let environment = try self.directory.environmentWithoutLibPQ()
        let proxy = try await Proxy.start(
            for: shop.server, store + ["--on-store-failure", "bypass"], in: self.directory, environment: environment)
        #expect(try await proxy.post("/slow-orders?seconds=0", key: "k-1").header("X-Idempotency-Status") == "unstored")
        #expect(proxy.process.errorText.contains("libpq"))
        proxy.process.signal(SIGTERM)
        #expect(try await proxy.process.exitStatus() == 0)
    }

    @Test(
        "does not start with a URL that nobody can read, or that no connection can be made with",
        arguments: [
            "redis://a:x", "postgres://127.0.0.1:x/orders", "postgres://127.0.0.1:99999/orders",
            "postgres://127.0.0.1/orders?sslmode=bogus", "postgres://127.0.0.1/orders?target_session_attrs=bogus",
            "postgres:///orders?host=a,b&port=1,2,3",
            "postgres:///orders?service=of-no-file",
        ])
    func badURL(store: String) async throws {
        let process = try CommandProcess(
            [
                "proxy", "--port", "0", "--upstream", "http://127.0.0.1:1", "--store", store,
                "--on-store-failure", "bypass",
            ], in: self.directory)
        #expect(try await process.exitStatus() != 0)
        #expect(process.errorText.hasPrefix("Error: --store: "))
    }
}
