import Foundation
import HTTPTestSupport
import Idemptx
import IdemptxProxy
import TestSupport
import Testing

@Suite("A request with a compressed body")
struct CompressionTests {
    /// `{"amount":5}`; the second one with spaces, another time and another level; the third as zlib has it.
    private static let five = "H4sIAAAAAAACA6tWSszNL80rUbIyrQUARHGBRQwAAAA="
    private static let otherFive = "H4sIAE0AAAAE/6tWUErMzS/NK1GyUjBVqAUAIThD5g8AAAA="
    private static let deflatedFive = "eJyrVkrMzS/NK1GyMq0FAByFBEA="
    /// `{"amount":6}`.
    private static let six = "H4sIAAAAAAACA6tWSszNL80rUbIyqwUAhyKsbgwAAAA="
    /// `{"idempotency_key":"k-7","amount":5}`.
    private static let keyed = "H4sIAAAAAAACA6tWykxJzS3IL0nNS66Mz06tVLJSytY1V9JRSszNL80rUbIyrQUAhztAmiQAAAA="
    /// 1,000 zeros, and 20,000.
    private static let small = "H4sIAAAAAAACAzMwGAWjYBQMdwAAg5lfqOgDAAA="
    private static let bomb =
        "H4sIAAAAAAACA+3BMQEAAADCoErrn84aHkABAAAAAAAAAAAAAAAAAAAAAAAA8GC9DxuMIE4AAA=="

    private static func bytes(_ text: String) throws -> [UInt8] { Array(try #require(Data(base64Encoded: text))) }

    private static func post(
        _ body: [UInt8], _ coding: String?, key: String? = "k-1", to proxy: TestProxy
    ) async throws -> WireMessage {
        let fields =
            ["Content-Type: application/json"] + (coding.map { ["Content-Encoding: \($0)"] } ?? [])
            + (key.map { ["Idempotency-Key: \($0)"] } ?? [])
        return try await RawConnection.open(port: proxy.port) { connection in
            let lines = ["POST /charges HTTP/1.1", "Host: a", "Content-Length: \(body.count)"]
            try await connection.write(.message(lines + fields) + body)
            return try await connection.readResponse()
        }
    }

    @Test("is compared by what it says, and reaches the upstream as it was sent")
    func compared() async throws {
        try await TestProxy.with { proxy async throws in
            let first = try Self.bytes(Self.five)
            #expect(try await Self.post(first, "gzip", to: proxy)["X-Idempotency-Status"] == ["new"])
            let same: [([UInt8], String?)] = [
                (first, "GZIP"), (try Self.bytes(Self.otherFive), "x-gzip"),
                (try Self.bytes(Self.deflatedFive), "deflate"), (Array(#"{"amount":5}"#.utf8), nil),
            ]
            for (body, coding) in same {
                #expect(
                    try await Self.post(body, coding, to: proxy)["X-Idempotency-Status"] == ["hit"])
            }
            #expect(try await Self.post(try Self.bytes(Self.six), "gzip", to: proxy).status == 422)
            #expect(proxy.upstream.request?.body == first)
            #expect(proxy.upstream.request?["Content-Encoding"] == ["gzip"])
            #expect(proxy.upstream.request?["Content-Length"] == ["\(first.count)"])
        }
    }

    @Test("can have its key in it")
    func keyInBody() async throws {
        let pointer = try JSONPointer("/idempotency_key")
        let configure = Change { $0.rules.standard.keySource = .json(pointer) }
        try await TestProxy.with(configure: configure) { proxy async throws in
            let body = try Self.bytes(Self.keyed)
            #expect(try await Self.post(body, "gzip", key: nil, to: proxy)["X-Idempotency-Status"] == ["new"])
            #expect(try await Self.post(body, "gzip", key: nil, to: proxy)["X-Idempotency-Status"] == ["hit"])
            // Without a key, it passes as it is.
            let unkeyed = try Self.bytes(Self.five)
            #expect(try await Self.post(unkeyed, "gzip", key: nil, to: proxy)["X-Idempotency-Status"] == [])
            #expect(proxy.upstream.requests.map(\.body) == [body, unkeyed])
        }
    }

    @Test("that comes to more than a body may have is refused, and nothing runs")
    func bomb() async throws {
        let configure = Change { $0.rules.standard.maxRequestBody = 1000 }
        try await TestProxy.with(configure: configure) { proxy async throws in
            let refused = try await Self.post(try Self.bytes(Self.bomb), "gzip", to: proxy)
            #expect(refused.status == 413)
            #expect(try refused.problem == "body-too-large")
            #expect(proxy.upstream.requests.isEmpty)
            #expect(try await Self.post(try Self.bytes(Self.small), "gzip", to: proxy).status == 200)
        }
    }

    @Test("that is none is refused, and nothing runs", arguments: ["short", "long", "changed", "none"])
    func malformed(_ fault: String) async throws {
        try await TestProxy.with { proxy async throws in
            var body = try Self.bytes(Self.five)
            switch fault {
            case "short": body.removeLast()
            case "long": body += [1, 2, 3]
            case "changed": body[14] ^= 1
            default: body = Array(#"{"amount":5}"#.utf8)
            }
            let refused = try await Self.post(body, "gzip", to: proxy)
            #expect(refused.status == 400)
            #expect(try refused.problem == "bad-request")
            #expect(proxy.upstream.requests.isEmpty)
        }
    }

    @Test("that is none passes where the layer only watches")
    func malformedButObserved() async throws {
        try await TestProxy.with(configure: Change { $0.rules.standard.mode = .observe }) { proxy async throws in
            #expect(try await Self.post([1, 2, 3], "gzip", to: proxy).status == 200)
            #expect(proxy.upstream.request?.body == [1, 2, 3])
        }
    }

    @Test("of a kind that is not known is compared by its bytes", arguments: ["br", "gzip, gzip", "zstd"])
    func unknownCoding(_ coding: String) async throws {
        try await TestProxy.with { proxy async throws in
            #expect(try await Self.post([1, 2, 3], coding, to: proxy)["X-Idempotency-Status"] == ["new"])
            #expect(try await Self.post([1, 2, 3], coding, to: proxy)["X-Idempotency-Status"] == ["hit"])
            #expect(try await Self.post([1, 2, 4], coding, to: proxy).status == 422)
        }
    }

    @Test("or without one reaches the upstream without the wish for a compressed response", arguments: [true, false])
    func acceptEncoding(isKept: Bool) async throws {
        try await TestProxy.with(configure: Change { $0.keepsAcceptEncoding = isKept }) { proxy async throws in
            _ = try await proxy.pay("k-1", ["Accept-Encoding: gzip"])
            #expect(proxy.upstream.request?["Accept-Encoding"] == (isKept ? ["gzip"] : []))
            _ = try await proxy.send("GET /", ["Accept-Encoding: br"])
            #expect(proxy.upstream.requests.last?["Accept-Encoding"] == ["br"])
        }
    }
}
