import HTTPTestSupport
import Idemptx
import IdemptxProxy
import IdemptxTesting
import NIOCore
import TestSupport
import Testing

@Suite("A shutdown")
struct ShutdownTests {
    @Test("waits for what is under way, guarded or not, and stores it")
    func graceful() async throws {
        let (gate, store) = (Gate(), MemoryStore())
        let script = TestUpstream.responding { request in
            await gate.pass()
            return .response(body: request.start)
        }
        try await TestProxy.with(store: store, script: script) { proxy in
            async let guarded = proxy.pay()
            async let unguarded = proxy.send("GET /")
            try await eventually { gate.arrivals == 2 }
            await proxy.shutDown()
            try await eventually("Nobody is let in any more") {
                (try? await RawConnection.open(port: proxy.port) { _ in true }) == nil
            }
            #expect(!proxy.hasEnded())
            gate.open()
            #expect(try await guarded.text == "POST /charges HTTP/1.1")
            #expect(try await unguarded.text == "GET / HTTP/1.1")
            try await eventually { proxy.hasEnded() }
        }
        // Another proxy over the same store has the response.
        try await TestProxy.with(store: store) { proxy async throws in
            #expect(try await proxy.pay().text == "POST /charges HTTP/1.1")
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test("is bounded: what the upstream still holds gets 502, and that is stored")
    func bounded() async throws {
        let (gate, store) = (Gate(), MemoryStore())
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            gate.open()
            try await connection.readToEnd()
        }
        try await TestProxy.with(
            store: store, script: script, configure: Change { $0.limits.drainTimeout = .milliseconds(50) }
        ) {
            proxy in
            async let running = proxy.pay()
            await gate.pass()
            await proxy.shutDown()
            let response = try await running
            #expect(response.status == 502)
            #expect(try response.problem == "upstream-failed")
            try await eventually { proxy.hasEnded() }
        }
        try await TestProxy.with(store: store) { proxy async throws in
            #expect(try await proxy.pay()["Idempotent-Replayed"] == ["true"])
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test("waits for a client that takes the last of a response slowly")
    func slowReader() async throws {
        let size = 8 << 20
        let script = TestUpstream.responding { _ in .response("200 OK", [], bytes: [UInt8](repeating: 7, count: size)) }
        let configure = Change { $0.rules.standard.maxResponseBody = size }
        try await TestProxy.with(script: script, configure: configure) { proxy in
            #expect(try await proxy.pay().body.count == size)
            try await RawConnection.open(port: proxy.port, configure: RawConnection.takesLittle) { connection in
                try await connection.post("/charges", host: "api.test", key: "k-1", body: #"{"amount":5}"#)
                let head = try #require(try await connection.readHead())
                #expect(head["Idempotent-Replayed"] == ["true"])
                await proxy.shutDown()
                try await eventually("Nobody is let in any more") {
                    (try? await RawConnection.open(port: proxy.port) { _ in true }) == nil
                }
                #expect(try await connection.takeRest().count == size)
            }
        }
    }

    @Test("never passes half of a body on as the whole", arguments: ["", "Idempotency-Key: k-1\r\n"])
    func halfBody(key: String) async throws {
        let script: TestUpstream.Script = { connection, upstream in
            _ = try await connection.readHead()
            upstream.record(WireMessage(body: (try? await connection.takeRest()) ?? []))
        }
        let store = FaultyStore(MemoryStore())
        try await TestProxy.with(
            store: store, script: script, configure: Change { $0.limits.drainTimeout = .milliseconds(50) }
        ) {
            proxy in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(
                    "POST / HTTP/1.1\r\nHost: a\r\n\(key)Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
                if key.isEmpty { try await eventually { proxy.upstream.connections == 1 } }
                await proxy.shutDown()
                try await eventually { proxy.hasEnded() }
                _ = try? await connection.readToEnd()
            }
            try await eventually { proxy.upstream.closedConnections == proxy.upstream.connections }
            #expect(proxy.upstream.requests.allSatisfy { !$0.text.contains("0\r\n\r\n") })
            #expect(store.count(of: .claim) == 0)
        }
    }
}
