import Foundation
import NIOHTTP1
import PostgresServerTesting
import RESP3
import RedisServerTesting
import TestSupport
import Testing

@Suite("/readyz of idemptx proxy is 503 while the store cannot write", .timeLimit(.minutes(10)))
struct ProxyReadinessTests {
    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    /// Starts a proxy, breaks its store and mends it.
    private func expectUnready(
        _ store: String,
        breaking breakStore: () async throws -> Void,
        mending mendStore: () async throws -> Void
    ) async throws {
        let proxy = try await Proxy.start(
            for: LocalServer(port: 9), ["--store", store, "--admin-port", "0"], in: self.directory)
        let admin = try await proxy.admin()
        #expect(try await admin.send(.GET, "/readyz").status == 200)
        try await breakStore()
        try await eventually("The proxy is not ready") { try await admin.send(.GET, "/readyz").status == 503 }
        #expect(try await admin.send(.HEAD, "/readyz").status == 503)
        #expect(try await admin.send(.GET, "/healthz").status == 200)
        let refused = try await proxy.post("/orders", key: "k-1")
        #expect(refused.status == 503)
        #expect(refused.body.contains("urn:idemptx:problem:store-unavailable"))
        try await mendStore()
        try await eventually("The proxy is ready again") { try await admin.send(.GET, "/readyz").status == 200 }
        // Its upstream is not there: the request has got past the store.
        #expect(try await proxy.post("/orders", key: "k-1").status == 502)
    }

    @Test("as a PostgreSQL that is read-only")
    func readOnlyPostgres() async throws {
        try await PostgresServer.with { server in
            func set(_ value: String) async throws {
                try await server.query("ALTER SYSTEM SET default_transaction_read_only = \(value)")
                try await server.query("SELECT pg_reload_conf()")
            }
            try await self.expectUnready(
                "postgres://postgres@127.0.0.1:\(server.port)/postgres",
                breaking: { try await set("on") },
                mending: { try await set("off") })
        }
    }

    @Test("as a Redis that is full and evicts nothing")
    func fullRedis() async throws {
        try await RedisServer.with { server in
            try await self.expectUnready(
                server.url(),
                breaking: {
                    try await server.send(["CONFIG", "SET", "maxmemory-policy", "noeviction"])
                    try await server.send(["CONFIG", "SET", "maxmemory", "1"])
                },
                mending: { try await server.send(["CONFIG", "SET", "maxmemory", "0"]) })
        }
    }

    @Test("as a Redis that has become a replica")
    func replicaRedis() async throws {
        try await RedisServer.with { server in
            try await self.expectUnready(
                server.url(),
                breaking: { try await server.send(["REPLICAOF", RedisArgument("127.0.0.1"), "1"]) },
                mending: { try await server.send(["REPLICAOF", "NO", "ONE"]) })
        }
    }

    @Test("as an SQLite file that was moved")
    func movedFile() async throws {
        let (file, elsewhere) = (self.directory.path + "/idemptx.sqlite", self.directory.path + "/elsewhere.sqlite")
        try await self.expectUnready(
            "sqlite:\(file)",
            breaking: { try FileManager.default.moveItem(atPath: file, toPath: elsewhere) },
            mending: { try FileManager.default.moveItem(atPath: elsewhere, toPath: file) })
    }
}
