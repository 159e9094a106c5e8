import Foundation
import HTTPTestSupport
import IdemptxProxy
import Testing

@Suite("An upstream on a Unix socket")
struct UnixSocketTests {
    @Test("is reached by its path, whatever characters that has")
    func reached() async throws {
        let path = FileManager.default.temporaryDirectory.path + "/s \(UInt32.random(in: 0...(.max)))%2F?.sock"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await TestUpstream.with(socket: path, script: TestUpstream.responding { .response(body: $0.start) }) {
            upstream in
            try await TestProxy.run(ProxyConfiguration(upstream: try Upstream("unix:\(path)")), in: upstream) {
                proxy async throws in
                #expect(try await proxy.send("GET /a?b").text == "GET /a?b HTTP/1.1")
                #expect(try await proxy.pay()["X-Idempotency-Status"] == ["new"])
            }
            #expect(upstream.requests.first?["Host"] == ["api.test"])
        }
    }
}
