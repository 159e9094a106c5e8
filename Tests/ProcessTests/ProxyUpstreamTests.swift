import NIOHTTP1
import TestSupport
import Testing

@Suite("idemptx proxy in front of an upstream that", .timeLimit(.minutes(3)))
struct ProxyUpstreamTests {
    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    @Test("redirects: the redirect is not replayed, and the key is free for the new path")
    func redirects() async throws {
        let shop = try await Shop.start(in: self.directory)
        let proxy = try await Proxy.start(for: shop.server, in: self.directory)
        for _ in 1...2 {
            let response = try await RawConnection.open(port: proxy.server.port) { connection in
                try await connection.post("/orders/", key: "k-1", body: "a=1")
                return try await connection.read(until: "\r\n\r\n")
            }
            #expect(response.hasPrefix("HTTP/1.1 307 "))
            #expect(!response.lowercased().contains("idempotent-replayed"))
        }
        // This client follows redirects by itself.
        #expect(try await proxy.post("/orders/", key: "k-1").status == 201)
        #expect(try await proxy.post("/orders", key: "k-1").header("Idempotent-Replayed") == "true")
        #expect(try await shop.orders().count == 1)
    }

    @Test("responds after its client was told 504: the retry is told to wait, then has the response")
    func late() async throws {
        let shop = try await Shop.start(in: self.directory)
        let proxy = try await Proxy.start(for: shop.server, ["--upstream-timeout", "500ms"], in: self.directory)
        #expect(try await proxy.post("/slow-orders?seconds=4", key: "k-1").status == 504)
        #expect(try await proxy.post("/slow-orders?seconds=4", key: "k-1").status == 409)
        try await eventually("The response came") {
            let retry = try await proxy.post("/slow-orders?seconds=4", key: "k-1")
            return retry.status == 201 && retry.header("Idempotent-Replayed") == "true"
        }
        #expect(try await shop.orders().count == 1)
    }

    @Test("has its requests logged, also those that the parser refused, without secrets")
    func logs() async throws {
        let shop = try await Shop.start(in: self.directory)
        let proxy = try await Proxy.start(for: shop.server, ["--log-requests"], in: self.directory)
        _ = try await proxy.post("/orders?secret=1", key: "k-1")
        let refused = [
            "POST http://user:secret@api.test/orders HTTP/1.1", "CONNECT user:secret@api.test:443 HTTP/1.1",
            "GET /orders#secret HTTP/1.1", "nonsense",
        ]
        for start in refused {
            _ = try await RawConnection.open(port: proxy.server.port) { connection in
                try await connection.write("\(start)\r\nHost: a\r\n\r\n")
                return try await connection.readToEnd()
            }
        }
        try await eventually("All are logged") {
            proxy.process.errorText.split(separator: "\n").count { $0.contains("Responded") } == 1 + refused.count
        }
        let log = proxy.process.errorText
        #expect(log.contains("client.address=127.0.0.1"))
        #expect(log.contains("http.response.status_code=201"))
        #expect(log.contains("idempotency.status=new"))
        #expect(log.contains("http.response.status_code=400"))
        #expect(log.split(separator: "\n").count { $0.contains("idempotency.status=-") } == refused.count)
        #expect(!log.contains("secret"))
        #expect(!log.contains("k-1"))
    }
}
