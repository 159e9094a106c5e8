import TestSupport
import Testing

/// A page of another origin, in a browser that keeps to what it was told.
@Suite("A page of another origin", .serialized)
struct CrossOriginBrowserTests {
    /// What a script of the page can see of a response.
    private struct Seen: Decodable, Equatable {
        var status: Int?
        var body: String?
        var replayed: String?
        var outcome: String?
        var error: String?
    }

    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    /// Sends an order through the proxy by a script of a page that the shop itself serves.
    private func order(through proxy: Proxy, on page: BrowserPage) async throws -> Seen {
        let _: Bool = try await page.evaluate(
            """
            (() => {
              window.seen = null;
              fetch('http://127.0.0.1:\(proxy.server.port)/orders', {
                method: 'POST', body: '{"amount":5}',
                headers: { 'Idempotency-Key': 'k-1', 'Content-Type': 'application/json' },
              }).then(async (response) => {
                window.seen = {
                  status: response.status, body: await response.text(),
                  replayed: response.headers.get('Idempotent-Replayed'),
                  outcome: response.headers.get('X-Idempotency-Status'),
                };
              }).catch((error) => { window.seen = { error: String(error) }; });
              return true;
            })()
            """)
        var seen: Seen?
        try await eventually("The page has a response") {
            seen = try await page.evaluate("window.seen")
            return seen != nil
        }
        return try #require(seen)
    }

    @Test("that is permitted sends a key, and reads what became of it")
    func permitted() async throws {
        let shop = try await Shop.start(in: self.directory)
        let origin = "http://127.0.0.1:\(shop.server.port)"
        let proxy = try await Proxy.start(for: shop.server, ["--cors-origins", origin], in: self.directory)
        try await Chromium.visit("\(origin)/orders") { page async throws in
            let first = try await self.order(through: proxy, on: page)
            #expect(first.status == 201)
            #expect(first.outcome == "new")
            let retry = try await self.order(through: proxy, on: page)
            #expect(retry == Seen(status: 201, body: first.body, replayed: "true", outcome: "hit"))
        }
        #expect(try await shop.orders().count == 1)
    }

    @Test("that is not permitted runs nothing")
    func forbidden() async throws {
        let shop = try await Shop.start(in: self.directory)
        let proxy = try await Proxy.start(
            for: shop.server, ["--cors-origins", "https://shop.example"], in: self.directory)
        try await Chromium.visit("http://127.0.0.1:\(shop.server.port)/orders") { page async throws in
            let seen = try await self.order(through: proxy, on: page)
            #expect(seen.error != nil)
        }
        #expect(try await shop.orders().isEmpty)
    }
}
