import Foundation
import HTTPTestSupport
import NIOHTTP1
import TestSupport
import Testing

@Suite("A webhook, by the example of the README")
struct WebhookTests {
    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    /// The configuration file that the README shows.
    private func example() throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
        let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
        let blocks = readme.split(separator: "```json\n").dropFirst().compactMap { $0.split(separator: "\n```").first }
        let example = try #require(blocks.first { $0.contains("/webhooks/github") })
        let file = URL(filePath: self.directory.path).appending(path: "idemptx.json")
        try Data(example.utf8).write(to: file)
        return file.path
    }

    @Test("whose first delivery failed runs when it is delivered again, and then no more")
    func redelivery() async throws {
        let deliveries = Ledger()
        let script = TestUpstream.responding { _ in
            deliveries.add() == 1 ? .response("500 Internal Server Error") : .response("202 Accepted", body: "done")
        }
        try await TestUpstream.with(script: script) { upstream in
            let proxy = try await Proxy.start(
                for: LocalServer(port: try #require(upstream.port)), ["--config", try self.example()],
                in: self.directory)
            let delivery: HTTPHeaders = [
                "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "X-GitHub-Event": "push",
                "User-Agent": "GitHub-Hookshot/1", "Content-Type": "application/json",
            ]
            var statuses: [Int] = []
            for _ in 1...4 {
                statuses.append(
                    try await proxy.post("/webhooks/github", key: nil, body: #"{"ref":"main"}"#, headers: delivery)
                        .status)
            }
            #expect(statuses == [500, 202, 202, 202])
            #expect(deliveries.count == 2)
            #expect(try await proxy.post("/webhooks/github", key: nil).status == 400)
        }
    }
}
