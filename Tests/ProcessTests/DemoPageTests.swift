import NIOHTTP1
import TestSupport
import Testing

@Suite("The page of the demo")
struct DemoPageTests {
    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    @Test("is one HTML document that may load nothing else")
    func document() async throws {
        let demo = try await Demo.start(in: self.directory)
        let page = try await demo.send(.GET, "/")
        #expect(page.status == 200)
        #expect(page.header("Content-Type") == "text/html; charset=utf-8")
        #expect(page.body.hasPrefix("<!doctype html>"))
        let policy = try #require(page.header("Content-Security-Policy")).split(separator: "; ")
        #expect(policy.contains("default-src 'none'"))
        #expect(policy.contains { $0.hasPrefix("script-src 'sha256-") })
        #expect(policy.contains { $0.hasPrefix("style-src 'sha256-") })
        #expect(!policy.contains { $0.contains("unsafe") || $0.contains("*") || $0.contains("http") })

        let head = try await demo.send(.HEAD, "/")
        #expect(head.status == 200)
        #expect(head.header("ETag") == page.header("ETag"))
    }

    @Test("is not sent again to who has it")
    func cache() async throws {
        let demo = try await Demo.start(in: self.directory)
        let first = try await demo.send(.GET, "/")
        #expect(first.header("Cache-Control") == "no-cache")
        let tag = try #require(first.header("ETag"))
        let second = try await demo.send(.GET, "/", headers: ["If-None-Match": tag])
        #expect(second.status == 304)
        #expect(second.body.isEmpty)
        #expect(try await demo.send(.GET, "/", headers: ["If-None-Match": "\"another\""]).body == first.body)
    }

    @Test("has nothing to do with keys")
    func unguarded() async throws {
        let demo = try await Demo.start(in: self.directory)
        for key in [[:], ["Idempotency-Key": "k-1"], ["Idempotency-Key": ""]] {
            let page = try await demo.send(.GET, "/", headers: HTTPHeaders(Array(key)))
            #expect(page.status == 200)
            #expect(!page.headers.contains { $0.lowercased().contains("idempoten") })
        }
        // A guarded route would echo the key of a POST, or complain that there is none.
        let post = try await demo.send(.POST, "/", headers: ["Idempotency-Key": "k-1"])
        #expect(post.status == 404)
        #expect(!post.headers.contains { $0.lowercased().contains("idempoten") })
    }

    @Test("is what the guide names first")
    func guide() async throws {
        let demo = try await Demo.start(in: self.directory)
        #expect(demo.process.outputText.hasPrefix("Open http://127.0.0.1:\(demo.port)/ "))
    }
}
