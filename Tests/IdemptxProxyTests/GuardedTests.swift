import HTTPTestSupport
import HTTPTypes
import Idemptx
import IdemptxProxy
import TestSupport
import Testing

@Suite("A request with a key")
struct GuardedTests {
    private static let upstreamFields = [
        "Content-Type: application/json", "X-B: 2", "Location: /charges/1", "x-b: 3", "X-A: 1", "Set-Cookie: a=1",
        "Content-Length: 8",
    ]

    private static func ledgerScript(_ ledger: Ledger) -> TestUpstream.Script {
        TestUpstream.responding { _ in
            .message(["HTTP/1.1 201 Created"] + Self.upstreamFields) + Array("{\"id\":\(ledger.add())}".utf8)
        }
    }

    @Test("runs once; its retries get the same response, byte for byte")
    func replay() async throws {
        try await TestProxy.with(script: Self.ledgerScript(Ledger())) { proxy in
            let first = try await proxy.pay()
            #expect(first.start == "HTTP/1.1 201 Created")
            #expect(first["X-Idempotency-Status"] == ["new"])
            #expect(first["Idempotent-Replayed"].isEmpty)
            for _ in 1...2 {
                let retry = try await proxy.pay()
                #expect(retry["X-Idempotency-Status"] == ["hit"])
                #expect(retry["Idempotent-Replayed"] == ["true"])
                #expect(retry.start == "HTTP/1.1 201 Created")
                #expect(retry.body == first.body)
                let markers = ["X-Idempotency-Status", "Idempotent-Replayed", "Date"]
                let repeated = retry.fields.filter { field in !markers.contains { field.hasPrefix($0 + ":") } }
                let sent = first.fields.filter { field in
                    !(markers + ["Set-Cookie"]).contains { field.hasPrefix($0 + ":") }
                }
                #expect(repeated.sorted() == sent.sorted())
                let order = Self.upstreamFields.filter {
                    !$0.hasPrefix("Set-Cookie") && !$0.hasPrefix("Content-Length")
                }
                #expect(repeated.filter(order.contains) == order)
            }
            #expect(proxy.upstream.requests.count == 1)
            #expect(proxy.upstream.request?["X-Idempotency-Attempt"] == ["1"])
            #expect(proxy.upstream.request?["Idempotency-Key"] == ["k-1"])
            #expect(proxy.upstream.request?.text == #"{"amount":5}"#)
        }
    }

    @Test("of a response without known length is replayed with it")
    func streamed() async throws {
        let bytes = (0..<10_000).map { UInt8(truncatingIfNeeded: $0) }
        let script = TestUpstream.responding { _ in
            .message(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"]) + .chunks(bytes, of: 999) + .message(["0"])
        }
        try await TestProxy.with(script: script) { proxy in
            let first = try await proxy.pay()
            let retry = try await proxy.pay()
            #expect(first.body == bytes)
            #expect(retry.body == bytes)
            #expect(retry["Idempotent-Replayed"] == ["true"])
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test("and a chunked body reaches the upstream with its length")
    func chunked() async throws {
        try await TestProxy.with { proxy in
            let responses = try await RawConnection.open(port: proxy.port) { connection in
                var responses: [WireMessage] = []
                for size in [3, 4] {
                    try await connection.write(
                        .message(["POST / HTTP/1.1", "Host: a", "Idempotency-Key: k-1", "Transfer-Encoding: chunked"])
                            + .chunks(Array("0123456789".utf8), of: size) + .message(["0"]))
                    responses.append(try await connection.readResponse())
                }
                return responses
            }
            #expect(responses.map { $0["X-Idempotency-Status"] } == [["new"], ["hit"]])
            #expect(proxy.upstream.request?.text == "0123456789")
            #expect(proxy.upstream.request?["Content-Length"] == ["10"])
            #expect(proxy.upstream.request?["Transfer-Encoding"] == [])
        }
    }

    @Test("that waits for leave to send its body gets it from the proxy")
    func expectContinue() async throws {
        try await TestProxy.with { proxy in
            try await RawConnection.open(port: proxy.port) { connection in
                let fields = ["Host: a", "Idempotency-Key: k-1", "Content-Length: 3", "Expect: 100-continue"]
                try await connection.write(.message(["POST / HTTP/1.1"] + fields))
                #expect(try await connection.readResponse().status == 100)
                #expect(proxy.upstream.connections == 0)
                try await connection.write("abc")
                #expect(try await connection.readResponse().status == 200)
            }
            #expect(proxy.upstream.request?.text == "abc")
            #expect(proxy.upstream.request?["Expect"] == [])
        }
    }

    @Test("on another request is refused")
    func reused() async throws {
        try await TestProxy.with { proxy in
            _ = try await proxy.pay(amount: 5)
            let other = try await proxy.pay(amount: 6)
            #expect(other.status == 422)
            #expect(try other.problem == "key-reused")
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test("on another target is refused", arguments: ["/charges?a", "/charges/", "/Charges"])
    func reusedTarget(_ target: String) async throws {
        try await TestProxy.with { proxy in
            _ = try await proxy.pay()
            let other = try await proxy.send("POST \(target)", ["Idempotency-Key: k-1"], body: #"{"amount":5}"#)
            #expect(other.status == 422)
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test("that is running is refused, without waiting by default")
    func concurrent() async throws {
        let gate = Gate()
        let script = TestUpstream.responding { _ in
            await gate.pass()
            return .response(body: "done")
        }
        try await TestProxy.with(script: script) { proxy in
            async let first = proxy.pay()
            try await eventually { gate.arrivals == 1 }
            let second = try await proxy.pay()
            #expect(second.status == 409)
            #expect(try second.problem == "request-in-progress")
            #expect(second["Retry-After"].count == 1)
            gate.open()
            #expect(try await first.text == "done")
            #expect(try await proxy.pay()["Idempotent-Replayed"] == ["true"])
        }
    }

    @Test("runs once in a storm of fifty")
    func storm() async throws {
        let gate = Gate()
        let script = TestUpstream.responding { _ in
            await gate.pass()
            return .response(body: "done")
        }
        try await TestProxy.with(script: script, configure: Change { $0.rules.standard.waitTimeout = .seconds(60) }) {
            proxy in
            let responses = try await withThrowingTaskGroup(of: WireMessage.self) { group in
                for _ in 1...50 { group.addTask { try await proxy.pay() } }
                try await eventually { gate.arrivals == 1 }
                gate.open()
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(responses.allSatisfy { $0.status == 200 && $0.text == "done" })
            #expect(responses.count { $0["X-Idempotency-Status"] == ["new"] } == 1)
            #expect(responses.count { $0["X-Idempotency-Status"] == ["hit"] } == 49)
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test("that is none is refused", arguments: ["a b", "\"unclosed", "", "(x)"])
    func invalidKey(_ key: String) async throws {
        try await TestProxy.with { proxy in
            let response = try await proxy.pay(key)
            #expect(response.status == 400)
            #expect(try response.problem == "key-invalid")
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test("twice is refused")
    func repeatedKey() async throws {
        try await TestProxy.with { proxy in
            let response = try await proxy.pay("k-1", ["Idempotency-Key: k-1"])
            #expect(try response.problem == "key-invalid")
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test("is not needed, unless the rules say so; the number of the attempt is never the client's")
    func missingKey() async throws {
        try await TestProxy.with { proxy in
            let response = try await proxy.send("POST /", ["X-Idempotency-Attempt: 7"], body: "x")
            #expect(response.status == 200)
            #expect(response["X-Idempotency-Status"] == [])
            #expect(proxy.upstream.request?["X-Idempotency-Attempt"] == [])
            #expect(proxy.upstream.request?.text == "x")
        }
        try await TestProxy.with(configure: Change { $0.rules.standard.required = true }) { proxy in
            let response = try await proxy.send("POST /", body: "x")
            #expect(response.status == 400)
            #expect(try response.problem == "key-missing")
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test("tells the upstream the proxy's number of the attempt, not the client's")
    func attempt() async throws {
        try await TestProxy.with { proxy in
            _ = try await proxy.pay("k-1", ["X-Idempotency-Attempt: 7", "x-idempotency-attempt: 8"])
            #expect(proxy.upstream.request?["X-Idempotency-Attempt"] == ["1"])
        }
    }

    @Test("belongs to its caller", arguments: [("Authorization", ["1", "2", "1"]), ("X-Tenant", ["1", "2", "1"])])
    func scope(_ name: String, _ values: [String]) async throws {
        let field = try #require(HTTPField.Name(name))
        try await TestProxy.with(configure: Change { $0.scopeHeaders = [field] }) { proxy in
            var statuses: [[String]] = []
            for value in values {
                statuses.append(try await proxy.pay("k-1", ["\(name): \(value)"])["X-Idempotency-Status"])
            }
            #expect(statuses == [["new"], ["new"], ["hit"]])
        }
    }

    @Test("larger than the rules permit is refused; without a key it passes")
    func largeBody() async throws {
        try await TestProxy.with(configure: Change { $0.rules.standard.maxRequestBody = 10 }) { proxy in
            let refused = try await proxy.pay()
            #expect(refused.status == 413)
            #expect(try refused.problem == "body-too-large")
            #expect(proxy.upstream.connections == 0)
            #expect(try await proxy.send("POST /", body: #"{"amount":5}"#).status == 200)
        }
    }

    @Test("with a larger response than is kept gets all of it, and its retry is told that it ran")
    func largeResponse() async throws {
        let script = TestUpstream.responding { _ in .response("201 Created", ["Location: /1"], body: "0123456789") }
        try await TestProxy.with(script: script, configure: Change { $0.rules.standard.maxResponseBody = 5 }) { proxy in
            #expect(try await proxy.pay().text == "0123456789")
            let retry = try await proxy.pay()
            #expect(retry.status == 409)
            #expect(try retry.problem == "response-not-replayable")
            #expect(retry.text.contains("\"original_status\":201"))
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test("runs again if its response says that nothing was done", arguments: [401, 407, 425, 429])
    func released(_ status: Int) async throws {
        let ledger = Ledger()
        let script = TestUpstream.responding { _ in ledger.add() == 1 ? .response("\(status) X") : .response() }
        try await TestProxy.with(script: script) { proxy async throws in
            #expect(try await proxy.pay().status == status)
            #expect(try await proxy.pay().status == 200)
            #expect(proxy.upstream.requests.map { $0["X-Idempotency-Attempt"] } == [["1"], ["1"]])
        }
    }

    @Test("keeps server errors, unless the rules say otherwise", arguments: [500, 502, 504])
    func serverErrors(_ status: Int) async throws {
        let script = TestUpstream.responding { _ in .response("\(status) X", body: "x") }
        try await TestProxy.with(script: script) { proxy in
            _ = try await proxy.pay()
            #expect(try await proxy.pay()["Idempotent-Replayed"] == ["true"])
            #expect(proxy.upstream.requests.count == 1)
        }
        try await TestProxy.with(script: script, configure: Change { $0.rules.standard.replay = .retryServerErrors }) {
            proxy in
            _ = try await proxy.pay()
            #expect(try await proxy.pay()["Idempotent-Replayed"] == [])
            #expect(proxy.upstream.requests.count == 2)
        }
    }

    @Test(
        "ends as its upstream says, and the client does not see it",
        arguments: [
            ("keep", 429, "429"), ("release", 200, "200 new"), ("tombstone", 200, "409"), ("unknown", 200, "409"),
        ])
    func disposition(_ word: String, _ status: Int, _ expected: String) async throws {
        let script = TestUpstream.responding { _ in
            .response("\(status) X", ["X-Idempotency-Disposition: \(word)"], body: "x")
        }
        try await TestProxy.with(script: script, configure: Change { $0.rules.standard.onAbandoned = .refuse }) {
            proxy in
            let first = try await proxy.pay()
            #expect(first.status == status)
            #expect(first["X-Idempotency-Disposition"] == [])
            let retry = try await proxy.pay()
            #expect("\(retry.status)" == expected.prefix(3))
            #expect(proxy.upstream.requests.count == (word == "release" ? 2 : 1))
        }
    }
}
