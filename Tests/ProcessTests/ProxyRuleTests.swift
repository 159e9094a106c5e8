import Foundation
import NIOHTTP1
import RedisServerTesting
import TestSupport
import Testing

@Suite("Rules of idemptx proxy", .timeLimit(.minutes(3)))
struct ProxyRuleTests {
    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    /// A proxy in front of a shop, with rules of its own for `/orders`.
    private func start(_ rules: String) async throws -> (Shop, Proxy) {
        let file = URL(filePath: self.directory.path).appending(path: "rules.json")
        try Data(#"{"routes": [{"path": "/orders", \#(rules)}]}"#.utf8).write(to: file)
        let shop = try await Shop.start(in: self.directory)
        return (shop, try await Proxy.start(for: shop.server, ["--config", file.path], in: self.directory))
    }

    @Test("A status that says that nothing was done frees the key")
    func releases() async throws {
        let (shop, proxy) = try await self.start(#""releaseStatuses": [402, 201]"#)
        for _ in 0..<2 { #expect(try await proxy.post("/orders", key: "k-1").status == 201) }
        #expect(try await shop.orders().count == 2)
    }

    @Test("A status after which nobody knows leaves the outcome to the rule for unknown ones")
    func unknown() async throws {
        let (shop, proxy) = try await self.start(#""unknownStatuses": [201], "onAbandoned": "refuse""#)
        #expect(try await proxy.post("/orders", key: "k-1").status == 201)
        let retry = try await proxy.post("/orders", key: "k-1")
        #expect(retry.status == 409)
        #expect(retry.body.contains("urn:idemptx:problem:outcome-unknown"))
        #expect(try await shop.orders().count == 1)
    }

    @Test("A status whose response is kept is replayed, though it would say that nothing was done")
    func keeps() async throws {
        let (shop, proxy) = try await self.start(#""keepStatuses": [429]"#)
        let first = try await proxy.post("/orders?status=429", key: "k-1")
        #expect(first.status == 429)
        let replay = try await proxy.post("/orders?status=429", key: "k-1")
        #expect(replay.header("Idempotent-Replayed") == "true")
        #expect(replay.body == first.body)
        #expect(try await shop.orders().count == 1)
    }

    @Test("Lists of statuses hold for all requests as flags, too")
    func flags() async throws {
        let shop = try await Shop.start(in: self.directory)
        let proxy = try await Proxy.start(
            for: shop.server,
            [
                "--release-statuses", "402,419", "--keep-statuses", "429", "--unknown-statuses", "504",
                "--on-abandoned", "refuse",
            ], in: self.directory)
        for (status, retried) in [(402, 402), (419, 419), (429, 429), (504, 409), (500, 500)] {
            #expect(try await proxy.post("/orders?status=\(status)", key: "k-\(status)").status == status)
            #expect(try await proxy.post("/orders?status=\(status)", key: "k-\(status)").status == retried)
        }
        #expect(try await shop.orders().count == 2 + 2 + 1 + 1 + 1)
    }

    @Test("A status whose response is not kept leaves a tombstone")
    func tombstones() async throws {
        let (shop, proxy) = try await self.start(#""tombstoneStatuses": ["201"]"#)
        #expect(try await proxy.post("/orders", key: "k-1").status == 201)
        #expect(try await proxy.post("/orders", key: "k-1").status == 409)
        #expect(try await shop.orders().count == 1)
    }

    @Test("A key may come back with another payload, if that is not compared")
    func unvalidated() async throws {
        let (shop, proxy) = try await self.start(#""validateSignature": false"#)
        let first = try await proxy.post("/orders", key: "k-1")
        let replay = try await proxy.post("/orders", key: "k-1", body: "a=2")
        #expect(replay.header("Idempotent-Replayed") == "true")
        #expect(replay.body == first.body)
        #expect(try await shop.orders().count == 1)
    }

    @Test("Members that count attempts may differ")
    func ignored() async throws {
        let (shop, proxy) = try await self.start(#""fingerprintIgnore": ["/attempts", "/meta/sent_at"]"#)
        let headers = ["Content-Type": "application/json"] as HTTPHeaders
        let statuses = [
            #"{"id": 1, "attempts": 1, "meta": {"sent_at": 1}}"#, #"{"id": 1, "attempts": 2, "meta": {"sent_at": 2}}"#,
            #"{"id": 2, "attempts": 2, "meta": {"sent_at": 2}}"#,
        ]
        var results: [Int] = []
        for body in statuses {
            results.append(try await proxy.post("/orders", key: "k-1", body: body, headers: headers).status)
        }
        #expect(results == [201, 201, 422])
        #expect(try await shop.orders().count == 1)
    }

    @Test(
        "A key is found where it is",
        arguments: [
            ("form:ref", "/orders", "ref=7&a=1"), ("query:ref", "/orders?ref=7", "a=1"),
            ("header:X-Sender,header:X-Ref", "/orders", "a=1"),
        ])
    func places(place: String, path: String, body: String) async throws {
        let (shop, proxy) = try await self.start(#""keyFrom": "\#(place)""#)
        let headers: HTTPHeaders = [
            "Content-Type": "application/x-www-form-urlencoded", "X-Sender": "s", "X-Ref": "7",
        ]
        for _ in 0..<2 { #expect(try await proxy.post(path, key: nil, body: body, headers: headers).status == 201) }
        #expect(try await shop.orders().count == 1)
    }

    @Test("One of several headers that is missing is a missing key", arguments: [true, false])
    func missingHeader(isRequired: Bool) async throws {
        let (shop, proxy) = try await self.start(
            #""keyFrom": "header:X-Sender,header:X-Ref", "requireKey": \#(isRequired)"#)
        for _ in 0..<2 {
            let response = try await proxy.post("/orders", key: nil, headers: ["X-Sender": "s"])
            #expect(response.status == (isRequired ? 400 : 201))
            #expect(response.body.contains("urn:idemptx:problem:key-missing") == isRequired)
        }
        #expect(try await shop.orders().count == (isRequired ? 0 : 2))
    }

    @Test("A claim that no replica acknowledges is refused, if one has to")
    func replicas() async throws {
        try await RedisServer.with { server in
            let proxy = try await Proxy.start(
                for: LocalServer(port: 9),
                ["--store", server.url(), "--redis-replicas", "1", "--redis-replica-timeout", "50ms"],
                in: self.directory)
            #expect(try await proxy.post("/", key: "k-1").status == 503)
        }
    }
}
