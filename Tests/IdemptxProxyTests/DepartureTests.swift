import HTTPTestSupport
import Idemptx
import IdemptxProxy
import IdemptxTesting
import TestSupport
import Testing

@Suite("A client that hangs up")
struct DepartureTests {
    @Test("cancels nothing that is guarded: it ends, and is stored", arguments: HangUp.allCases)
    func guarded(hangUp: HangUp) async throws {
        let gate = Gate()
        let script = TestUpstream.responding { _ in
            await gate.pass()
            return .response(body: "done")
        }
        try await TestProxy.with(script: script) { proxy in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.post("/charges", host: "api.test", key: "k-1", body: #"{"amount":5}"#)
                try await eventually { gate.arrivals == 1 }
                try await hangUp.say(connection)
            }
            gate.open()
            try await eventually { try await proxy.pay()["Idempotent-Replayed"] == ["true"] }
            #expect(proxy.upstream.requests.count { $0.start.hasPrefix("POST") } == 1)
        }
    }

    @Test("at once leaves nothing behind", arguments: HangUp.allCases)
    func atOnce(hangUp: HangUp) async throws {
        let script = TestUpstream.responding { .response(body: $0.start) }
        try await TestProxy.with(script: script, configure: Change { $0.limits.drainTimeout = .seconds(3_600) }) {
            proxy in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 1...100 {
                    group.addTask {
                        try await RawConnection.open(port: proxy.port) { connection in
                            try await connection.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                            try await hangUp.say(connection)
                            _ = try? await connection.readToEnd()
                        }
                    }
                }
                try await group.waitForAll()
            }
            // Were anything of them still under way, this would last.
            await proxy.shutDown()
            try await eventually { proxy.hasEnded() }
        }
    }

    @Test("in the middle of a guarded stream leaves it to be drained and stored", arguments: HangUp.allCases)
    func guardedStream(hangUp: HangUp) async throws {
        let gate = Gate()
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            try await connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            await gate.pass()
            try await connection.write("3\r\ndef\r\n0\r\n\r\n")
            try await connection.readToEnd()
        }
        try await TestProxy.with(script: script) { proxy in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.post("/charges", host: "api.test", key: "k-1", body: #"{"amount":5}"#)
                _ = try await connection.read(until: "abc")
                try await hangUp.say(connection)
            }
            gate.open()
            try await eventually { try await proxy.pay().text == "abcdef" }
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test(
        "in the middle of a guarded body has asked for nothing: the whole request is the first that counts",
        arguments: HangUp.allCases, ["Content-Length: 100", "Transfer-Encoding: chunked"])
    func withinGuardedBody(hangUp: HangUp, framing: String) async throws {
        let store = FaultyStore(MemoryStore())
        try await TestProxy.with(store: store) { proxy in
            try await RawConnection.open(port: proxy.port) { connection in
                let start = framing.hasPrefix("T") ? "c\r\n{\"amount\":5}\r\n" : "{\"amount\":5}"
                try await connection.write(
                    "POST /charges HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k-1\r\n\(framing)\r\n\r\n\(start)")
                try await hangUp.say(connection)
                if hangUp == .end { try await connection.readToEnd() }
            }
            #expect(try await proxy.pay()["X-Idempotency-Status"] == ["new"])
            #expect(proxy.upstream.requests.count == 1)
            #expect(store.count(of: .claim) == 1)
        }
    }

    @Test("after its last word gets its response all the same, guarded or not", arguments: [true, false])
    func halfClosed(isGuarded: Bool) async throws {
        let gate = Gate()
        let script = TestUpstream.responding { _ in
            await gate.pass()
            return .response(body: "done")
        }
        try await TestProxy.with(script: script) { proxy in
            try await RawConnection.open(port: proxy.port) { connection in
                let key = isGuarded ? "Idempotency-Key: k-1\r\n" : ""
                try await connection.write("POST / HTTP/1.1\r\nHost: a\r\n\(key)Content-Length: 1\r\n\r\nx")
                connection.endWriting()
                try await eventually { gate.arrivals == 1 }
                gate.open()
                #expect(try await connection.readResponse().text == "done")
            }
        }
    }

    @Test("while it waits for another attempt runs nothing later", arguments: HangUp.allCases)
    func waiting(hangUp: HangUp) async throws {
        let (gate, store) = (Gate(), MemoryStore())
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            await gate.pass()
            // The key is free then: one who waits would run.
            try await connection.write(.response("200 OK", ["X-Idempotency-Disposition: release"], body: "done"))
        }
        let configure = Change {
            $0.rules.standard.waitTimeout = .seconds(3_600)
            $0.limits.maxConnections = 2
        }
        try await TestProxy.with(store: store, script: script, configure: configure) { proxy in
            async let first = proxy.pay()
            try await eventually { gate.arrivals == 1 }
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.post("/charges", host: "api.test", key: "k-1", body: #"{"amount":5}"#)
                try await hangUp.say(connection)
                if hangUp == .end {
                    let response = try await connection.readResponse()
                    #expect(response.status == 409)
                    #expect(try response.problem == "request-in-progress")
                }
            }
            // The proxy has heard of the end once it takes another connection in its place.
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("GET / HTTP/1.1\r\n\r\n")
                #expect(try await connection.readResponse().status == 400)
            }
            gate.open()
            #expect(try await first.text == "done")
            await proxy.shutDown()
            try await eventually { proxy.hasEnded() }
            #expect(proxy.upstream.requests.count { $0.start.hasPrefix("POST") } == 1)
        }
    }
}
