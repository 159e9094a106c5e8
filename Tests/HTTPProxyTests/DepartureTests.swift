import HTTPProxy
import HTTPTestSupport
import TestSupport
import Testing

@Suite("A client that hangs up")
struct DepartureTests {
    @Test("cancels nothing that is handled: it ends", arguments: HangUp.allCases)
    func handled(hangUp: HangUp) async throws {
        let (gate, ended) = (Gate(), Ledger())
        let script = TestUpstream.responding { _ in
            await gate.pass()
            return .response(body: "done")
        }
        let handle: TestHandler.Handle = { request in
            let response = try await Extents().relaying(request)
            ended.add()
            return response
        }
        try await TestProxy.with(script: script, handle: handle) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.post("/charges", host: "api.test", key: "k-1", body: #"{"amount":5}"#)
                try await eventually { gate.arrivals == 1 }
                try await hangUp.say(connection)
            }
            gate.open()
            try await eventually { ended.count == 1 }
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test("cancels at the upstream what is not handled, while its response is waited for", arguments: [HangUp.reset])
    func unhandled(hangUp: HangUp) async throws {
        let gate = Gate()
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            gate.open()
            try await connection.readToEnd()
        }
        try await TestProxy.with(script: script) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
                await gate.pass()
                try await hangUp.say(connection)
                try await eventually("The upstream is told") { proxy.upstream.closedConnections == 1 }
            }
        }
    }

    @Test("at once leaves nothing behind", arguments: HangUp.allCases)
    func atOnce(hangUp: HangUp) async throws {
        try await TestProxy.with(script: TestUpstream.responding { .response(body: $0.start) }) { proxy async throws in
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
            await proxy.server.shutDown(drainTime: .seconds(3_600))
        }
    }

    @Test("cancels at the upstream what is not handled, while its response pauses", arguments: [HangUp.reset])
    func whileStreaming(hangUp: HangUp) async throws {
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            try await connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            try await connection.readToEnd()
        }
        try await TestProxy.with(script: script) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                _ = try await connection.read(until: "abc")
                try await hangUp.say(connection)
                try await eventually("The upstream is told") { proxy.upstream.closedConnections == 1 }
            }
        }
    }

    @Test(
        "in the middle of a body has asked for nothing: the upstream gets no end of it",
        arguments: HangUp.allCases, ["Content-Length: 100", "Transfer-Encoding: chunked"])
    func withinBody(hangUp: HangUp, framing: String) async throws {
        let upload = Gate()
        let script: TestUpstream.Script = { connection, upstream in
            _ = try await connection.readHead()
            await upload.pass()
            do {
                upstream.record(WireMessage(body: try await connection.takeRest()))
            } catch {
                // Also this is no end of a body.
                upstream.record(WireMessage(start: "reset"))
            }
        }
        try await TestProxy.with(script: script) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                let start = framing.hasPrefix("T") ? "5\r\nhello\r\n" : "hello"
                try await connection.write("PUT / HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n\(start)")
                try await eventually { upload.arrivals == 1 }
                try await hangUp.say(connection)
                upload.open()
                try await eventually { proxy.upstream.requests.count == 1 }
            }
            let body = try #require(proxy.upstream.request)
            #expect(!body.text.hasSuffix("0\r\n\r\n"))
        }
    }

    @Test(
        "in the middle of a body that is handled is told to the handler",
        arguments: HangUp.allCases, ["Content-Length: 100", "Transfer-Encoding: chunked"])
    func withinHandledBody(hangUp: HangUp, framing: String) async throws {
        let told = Ledger()
        let handle: TestHandler.Handle = { request in
            do {
                _ = try await request.collect()
            } catch is ClientLeft {
                told.add()
            }
            throw ClientLeft()
        }
        try await TestProxy.with(handle: handle) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                let start = framing.hasPrefix("T") ? "c\r\n{\"amount\":5}\r\n" : "{\"amount\":5}"
                try await connection.write(
                    "POST /charges HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k-1\r\n\(framing)\r\n\r\n\(start)")
                try await hangUp.say(connection)
                if hangUp == .end { try await connection.readToEnd() }
            }
            try await eventually { told.count == 1 }
            #expect(proxy.upstream.connections == 0)
        }
    }
}
