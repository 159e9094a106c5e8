import HTTPTestSupport
import HTTPTypes
import Idemptx
import IdemptxProxy
import TestSupport
import Testing

@Suite("A response with a large head")
struct LargeHeadTests {
    private static func many(_ count: Int) -> [String] { (1...count).map { "X-\($0): \($0)" } }

    @Test("passes, guarded or not, with a thousand fields or as many bytes as a head may have")
    func passes() async throws {
        // `Content-Length` is one of them.
        let heads = [Self.many(999), ["X-Large: " + String(repeating: "x", count: 60_000)]]
        for head in heads {
            try await TestProxy.with(script: TestUpstream.responding { _ in .response("200 OK", head) }) {
                proxy async throws in
                let responses = [
                    try await proxy.send("GET /"), try await proxy.pay(), try await proxy.pay(),
                ]
                for response in responses {
                    #expect(response.status == 200)
                    #expect(response.fields.filter { $0.hasPrefix("X-") && head.contains($0) } == head)
                }
                #expect(responses.last?["Idempotent-Replayed"] == ["true"])
            }
        }
    }

    @Test("that is larger gets 502, and its request counts as done", arguments: ["count", "size"])
    func tooLarge(_ kind: String) async throws {
        let head = kind == "count" ? Self.many(1000) : ["X-Large: " + String(repeating: "x", count: 5000)]
        let configure = Change {
            $0.limits.maxHeaderSize = kind == "count" ? 64 << 10 : 5000
            // Even so.
            $0.rules.standard.replay = .retryServerErrors
        }
        let script = TestUpstream.responding { _ in .response("201 Created", head) }
        try await TestProxy.with(script: script, configure: configure) { proxy async throws in
            #expect(try await proxy.send("GET /").problem == "upstream-failed")
            #expect(proxy.upstream.requests.count == 1)
            let first = try await proxy.pay()
            #expect(first.status == 502)
            #expect(try first.problem == "upstream-failed")
            for _ in 1...2 {
                let retry = try await proxy.pay()
                #expect(retry.status == 409)
                #expect(try retry.problem == "response-not-replayable")
            }
            #expect(proxy.upstream.requests.count == 2)
        }
    }

    @Test("or none at all: replays of HEAD and of 304 have no length of their own")
    func bodiless() async throws {
        let script = TestUpstream.responding { request in
            request.start.hasPrefix("HEAD")
                ? .message(["HTTP/1.1 200 OK", "Content-Length: 77", "X-A: 1"])
                : .message(["HTTP/1.1 304 Not Modified", "Content-Length: 77", "X-A: 1"])
        }
        let configure = Change { $0.rules.standard.methods = [.get, .head] }
        try await TestProxy.with(script: script, configure: configure) { proxy async throws in
            for (request, status) in [("HEAD /", 200), ("GET /", 304)] {
                for replayed in [[], ["true"]] {
                    let response = try await proxy.send(request, ["Idempotency-Key: \(status)"])
                    #expect(response.status == status)
                    #expect(response["Idempotent-Replayed"] == replayed)
                    #expect(response["X-A"] == ["1"])
                    #expect(response["Content-Length"] == (replayed.isEmpty ? ["77"] : []))
                }
            }
            #expect(proxy.upstream.requests.count == 2)
        }
    }
}
