import RESP3
import RedisServerTesting
import TestSupport
import Testing

@Suite("A server with TLS", .timeLimit(.minutes(2)))
struct TLSTests {
    private func withServer(
        serverNames: String = "DNS:localhost,IP:127.0.0.1", requiresClientCertificate: Bool = false,
        _ body: (TestCertificates, String) async throws -> Void
    ) async throws {
        try await TestCertificates.with(serverNames: serverNames) { certificates in
            var options = RedisServerOptions()
            options.certificates = certificates
            options.requiresClientCertificate = requiresClientCertificate
            try await RedisServer.with(options) { server in
                try await body(certificates, "\(server.host):\(server.tlsPort ?? 0)")
            }
        }
    }

    private func reply(_ url: String) async throws -> String? {
        try await withClient(url) { client in
            do {
                return try await client.send(["PING"]).string
            } catch RedisError.refused {
                return "refused"
            }
        }
    }

    @Test("is trusted for its authority, by address and by name")
    func ownAuthority() async throws {
        try await self.withServer { certificates, place in
            let options = "?tls_ca=\(certificates.authority)"
            let byAddress = try await self.reply("rediss://\(place)\(options)")
            #expect(byAddress == "PONG")
            let named = place.replacing("127.0.0.1", with: "localhost")
            #expect(try await self.reply("rediss://\(named)\(options)") == "PONG")
            #expect(try await self.reply("rediss://\(place)\(options)&tls_server_name=localhost") == "PONG")
        }
    }

    @Test("is refused if its authority or its name is another")
    func wrongAuthority() async throws {
        try await TestCertificates.with { others in
            try await self.withServer { certificates, place in
                let bySystem = try await self.reply("rediss://\(place)")
                #expect(bySystem == "refused")
                #expect(try await self.reply("rediss://\(place)?tls_ca=\(others.authority)") == "refused")
            }
        }
        try await self.withServer(serverNames: "DNS:redis.example") { certificates, place in
            let trust = "rediss://\(place)?tls_ca=\(certificates.authority)"
            let byAddress = try await self.reply(trust)
            #expect(byAddress == "refused")
            #expect(try await self.reply("\(trust)&tls_server_name=redis.other") == "refused")
            #expect(try await self.reply("\(trust)&tls_server_name=redis.example") == "PONG")
        }
    }

    @Test("is trusted in any case by who says so")
    func insecure() async throws {
        try await self.withServer { _, place in
            let reply = try await self.reply("rediss://\(place)?tls_insecure=true")
            #expect(reply == "PONG")
        }
    }

    @Test("lets in who has a certificate, if it asks for one")
    func clientCertificate() async throws {
        try await self.withServer(requiresClientCertificate: true) { certificates, place in
            let trust = "rediss://\(place)?tls_ca=\(certificates.authority)"
            let identity = "&tls_cert=\(certificates.client.certificate)&tls_key=\(certificates.client.key)"
            let reply = try await self.reply(trust + identity)
            #expect(reply == "PONG")
            await #expect(throws: RedisError.self) {
                try await withClient(trust, { $0.maximumConnectFailures = 1 }) { try await $0.send(["PING"]) }
            }
        }
    }

    @Test(
        "cannot be used with files that do not exist", arguments: ["tls_ca=/x.pem", "tls_cert=/x.pem&tls_key=/x.key"])
    func missingFiles(options: String) async throws {
        await #expect { try await withClient("rediss://localhost?\(options)") { _ in } } throws: { error in
            guard case RedisError.refused = error else { return false }
            return true
        }
    }

    @Test("and one without are told apart in bounded time")
    func plainAndEncrypted() async throws {
        let hasty: (inout RedisConfiguration) -> Void = {
            $0.maximumConnectFailures = 1
            $0.connectTimeout = .seconds(1)
        }
        try await self.withServer { _, place in
            await #expect(throws: RedisError.self) {
                try await withClient("redis://\(place)", hasty) { try await $0.send(["PING"]) }
            }
        }
        try await RedisServer.with { server in
            await #expect(throws: RedisError.self) {
                let url = "rediss://\(server.host):\(server.port)"
                try await withClient(url, hasty) { try await $0.send(["PING"]) }
            }
        }
    }
}
