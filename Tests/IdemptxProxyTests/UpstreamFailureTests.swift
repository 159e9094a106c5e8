import HTTPTestSupport
import Idemptx
import IdemptxProxy
import IdemptxTesting
import TestSupport
import Testing

@Suite("When the upstream fails")
struct UpstreamFailureTests {
    /// An address at which nobody listens.
    private static func refusingPort() async throws -> Int {
        try await TestUpstream.with(script: TestUpstream.responding { _ in [] }) { try #require($0.port) }
    }

    @Test(
        "before it was reached, nothing ran: 502, and the key is free",
        arguments: ["refused", "http://no-such-host.invalid:81", "https", "unix:/nowhere/app.sock"])
    func unreachable(_ kind: String) async throws {
        // The first address leads nowhere; another proxy over the same store shows what became of the key.
        let store = MemoryStore()
        try await TestProxy.with(store: store) { working in
            let port = try #require(working.upstream.port)
            let address =
                switch kind {
                case "refused": "http://127.0.0.1:\(try await Self.refusingPort())"
                case "https": "https://127.0.0.1:\(port)"
                default: kind
                }
            let configuration = ProxyConfiguration(upstream: try Upstream(address)) {
                $0.limits.connectTimeout = .seconds(1)
            }
            try await TestProxy.run(configuration, store: store, in: working.upstream) { broken in
                for _ in 1...2 {
                    let response = try await broken.pay()
                    #expect(response.status == 502)
                    #expect(try response.problem == "upstream-unreachable")
                    #expect(!response.text.contains("127.0.0.1"))
                }
                let unguarded = try await broken.send("GET /")
                #expect(unguarded.status == 502)
                #expect(try unguarded.problem == "upstream-unreachable")
            }
            #expect(!working.upstream.requests.contains { $0.start.hasPrefix("POST") })
            let retry = try await working.pay()
            #expect(retry.status == 200)
            #expect(retry["X-Idempotency-Status"] == ["new"])
            #expect(working.upstream.requests.last?["X-Idempotency-Attempt"] == ["1"])
        }
    }

    @Test(
        "after it got the request, it may have run: 502 is kept",
        arguments: ["closed", "reset", "nonsense", "half a head", "000 X", "099 X", "099 X with a body"])
    func lost(_ kind: String) async throws {
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            switch kind {
            case "reset": try await connection.reset()
            case "nonsense": try await connection.write("what?\r\n\r\n")
            case "000 X", "099 X": try await connection.write("HTTP/1.1 \(kind)\r\nContent-Length: 0\r\n\r\n")
            case "099 X with a body": try await connection.write("HTTP/1.1 099 X\r\nContent-Length: 2\r\n\r\nok")
            case "half a head": try await connection.write("HTTP/1.1 200 OK\r\nContent-Le")
            default: break
            }
        }
        try await TestProxy.with(script: script) { proxy in
            for isRetry in [false, true] {
                let response = try await proxy.pay()
                #expect(response.status == 502)
                #expect(try response.problem == "upstream-failed")
                #expect(response["Idempotent-Replayed"] == (isRetry ? ["true"] : []))
            }
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test("the rules can say that a failure is to be tried again")
    func lostButRetried() async throws {
        let ledger = Ledger()
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            if ledger.add() > 1 { try await connection.write(.response(body: "done")) }
        }
        try await TestProxy.with(script: script, configure: Change { $0.rules.standard.replay = .retryServerErrors }) {
            proxy async throws in
            #expect(try await proxy.pay().status == 502)
            #expect(try await proxy.pay().text == "done")
            #expect(proxy.upstream.requests.count == 2)
        }
    }

    @Test(
        "by taking long, the client gets 504, and the retry the response that came late",
        arguments: ["", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"])
    func late(start: String) async throws {
        let gate = Gate()
        let script: TestUpstream.Script = { connection, upstream in
            while let request = try await connection.readMessage() {
                upstream.record(request)
                try await connection.write(start)
                await gate.pass()
                try await connection.write(
                    start.isEmpty ? .response("201 Created", [], body: "paid") : Array("cde".utf8))
            }
        }
        // Even a rule that has failures run again must not have this one run beside itself.
        let configure = Change {
            $0.limits.upstreamTimeout = .milliseconds(200)
            $0.rules.standard.replay = .retryServerErrors
        }
        try await TestProxy.with(script: script, configure: configure) { proxy in
            let first = try await proxy.pay()
            #expect(first.status == 504)
            #expect(try first.problem == "upstream-timeout")
            let early = try await proxy.pay()
            #expect(early.status == 409)
            #expect(try early.problem == "request-in-progress")
            gate.open()
            try await eventually { try await proxy.pay().status < 300 }
            let retry = try await proxy.pay()
            #expect(retry["Idempotent-Replayed"] == ["true"])
            #expect(retry.text == (start.isEmpty ? "paid" : "abcde"))
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test("by taking longer than a request may run, it may have run: 504 is kept")
    func tooLate() async throws {
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            try await connection.readToEnd()
        }
        let configure = Change {
            $0.limits.upstreamTimeout = .milliseconds(100)
            $0.rules.standard.maxRunTime = .milliseconds(300)
        }
        try await TestProxy.with(script: script, configure: configure) { proxy in
            #expect(try await proxy.pay().status == 504)
            try await eventually("The upstream is told") { proxy.upstream.closedConnections == 1 }
            try await eventually { try await proxy.pay().status != 409 }
            let retry = try await proxy.pay()
            #expect(retry.status == 504)
            #expect(retry["Idempotent-Replayed"] == ["true"])
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test("in the middle of a response of known length, a guarded client gets 502, and it is kept")
    func brokenOff() async throws {
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            try await connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        }
        try await TestProxy.with(script: script) { proxy in
            for _ in 1...2 {
                let response = try await proxy.pay()
                #expect(response.status == 502)
                #expect(try response.problem == "upstream-failed")
            }
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test("in the middle of a chunked response, the client's ends without its end, and the retry is told that it ran")
    func brokenOffStream() async throws {
        let gate = Gate()
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            try await connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            await gate.pass()
        }
        try await TestProxy.with(script: script) { proxy in
            let received = try await RawConnection.open(port: proxy.port) { connection in
                try await connection.post("/", host: "api.test", key: "k-1", body: "x")
                #expect(try await connection.read(until: "abc").hasPrefix("HTTP/1.1 200 OK"))
                gate.open()
                return try await connection.readToEnd()
            }
            #expect(received.hasSuffix("3\r\nabc\r\n"))
            let retry = try await proxy.send("POST /", ["Idempotency-Key: k-1"], body: "x")
            #expect(retry.status == 409)
            #expect(try retry.problem == "response-not-replayable")
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test("the store's failure is another matter: 503, and nothing runs")
    func storeFails() async throws {
        let store = FaultyStore(MemoryStore())
        store.breakDown(at: .claim)
        try await TestProxy.with(
            store: store, configure: Change { $0.rules.standard.claimRetryTime = .milliseconds(1) }
        ) {
            proxy in
            let response = try await proxy.pay()
            #expect(response.status == 503)
            #expect(try response.problem == "store-unavailable")
            #expect(response["Retry-After"].count == 1)
            #expect(proxy.upstream.connections == 0)
            store.heal()
            #expect(try await proxy.pay().status == 200)
        }
    }

    @Test("the store's failure can be passed over")
    func storeIsBypassed() async throws {
        let store = FaultyStore(MemoryStore())
        store.breakDown(at: .claim)
        let configure = { (configuration: inout ProxyConfiguration) in
            configuration.rules.standard.claimRetryTime = .milliseconds(1)
            configuration.rules.standard.onStoreFailure = .bypass
        }
        try await TestProxy.with(store: store, configure: Change(configure)) { proxy async throws in
            for _ in 1...2 { #expect(try await proxy.pay()["X-Idempotency-Status"] == ["unstored"]) }
            #expect(proxy.upstream.requests.count == 2)
            #expect(proxy.upstream.requests.allSatisfy { $0["X-Idempotency-Attempt"].count <= 1 })
        }
    }

    @Test("the response is sent all the same if the store cannot keep it, and says so")
    func storeFailsLate() async throws {
        let store = FaultyStore(MemoryStore())
        store.breakDown(at: .complete)
        let configure = { (configuration: inout ProxyConfiguration) in
            configuration.rules.standard.completionRetryTime = .milliseconds(1)
        }
        try await TestProxy.with(store: store, configure: Change(configure)) { proxy async throws in
            #expect(try await proxy.pay()["X-Idempotency-Status"] == ["unstored"])
            // From the memory of the proxy, until the store takes it.
            #expect(try await proxy.pay()["X-Idempotency-Status"] == ["hit"])
            #expect(proxy.upstream.requests.count == 1)
        }
    }
}

extension String {
    /// How often `text` occurs.
    fileprivate func components(of text: String) -> Int {
        self.ranges(of: text).count
    }
}
