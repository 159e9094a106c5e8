import HTTPProxy
import HTTPTestSupport
import NIOCore
import TestSupport
import Testing

@Suite("A connection to the upstream")
struct UpstreamConnectionTests {
    @Test("is closed once it has been idle for too long")
    func idleConnections() async throws {
        let closed = Ledger()
        let script: TestUpstream.Script = { connection, _ in
            _ = try await connection.readMessage()
            try await connection.write(.response())
            try await connection.readToEnd()
            closed.add()
        }
        let configure = Change { $0.limits.upstreamIdleTimeout = .milliseconds(50) }
        try await TestProxy.with(script: script, configure: configure) { proxy in
            for number in 1...2 {
                #expect(try await proxy.send("GET /").status == 200)
                try await eventually { closed.count == number }
            }
            #expect(proxy.upstream.connections == 2)
        }
    }

    @Test("that has been idle for a while is left to requests that may be retried")
    func seenAlive() async throws {
        let handle: TestHandler.Handle = { request in
            guard
                case .response(let response) = await request.forward(
                    body: try await request.collect(), changes: FieldChanges(), demand: .seenAlive)
            else { throw ProxyFailure.upstreamFailed }
            return try await response.collected()
        }
        try await TestProxy.with(handle: handle, configure: Change { $0.limits.seenAliveTime = .zero }) {
            proxy async throws in
            // Over one connection, and thus on one event loop.
            try await RawConnection.open(port: proxy.port) { connection async throws in
                for _ in 1...3 {
                    #expect(try await connection.send("GET /").status == 200)
                    #expect(try await connection.send("POST /", ["Idempotency-Key: k"], body: "a").status == 200)
                }
            }
            #expect(proxy.upstream.connections > 1)
            #expect(proxy.upstream.closedConnections == 0)
        }
    }

    @Test("is closed for a request of another event loop if there may be no more")
    func onePerUpstream() async throws {
        try await TestProxy.with(configure: Change { $0.limits.maxUpstreamConnections = 1 }) { proxy async throws in
            // One after the other gets another loop.
            for _ in 1...8 { #expect(try await proxy.send("GET /").status == 200) }
        }
    }

    @Test("is shared by the event loops, however busy one of them is", arguments: [1, 4])
    func shares(limit: Int) async throws {
        let configure = Change {
            $0.limits.maxUpstreamConnections = limit
            $0.limits.connectTimeout = .seconds(60)
        }
        let script = TestUpstream.responding { _ in
            try await Task.sleep(for: .milliseconds(5))
            return .response()
        }
        try await TestProxy.with(script: script, configure: configure) { proxy async throws in
            let served = (1...12).map { _ in Ledger() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for client in served {
                    group.addTask {
                        try await RawConnection.open(port: proxy.port) { connection async throws in
                            // All go on until each has had its turn.
                            while !Task.isCancelled, served.contains(where: { $0.count < 5 }) {
                                let response = try await connection.send("GET /")
                                try #require(response.status == 200)
                                client.add()
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("is waited for if there may be no more, and then the request is refused without having run")
    func upstreamConnections() async throws {
        let gate = Gate()
        let script = TestUpstream.responding { _ in
            await gate.pass()
            return .response(body: "done")
        }
        let configure = { (configuration: inout ServerConfiguration) in
            configuration.limits.maxUpstreamConnections = 1
            configuration.limits.connectTimeout = .seconds(1)
        }
        try await TestProxy.with(script: script, configure: Change(configure)) { proxy async throws in
            async let first = proxy.pay()
            try await eventually { gate.arrivals == 1 }
            let second = try await proxy.pay()
            #expect(second.status == 502)
            #expect(second.text == "upstreamUnreachable")
            gate.open()
            #expect(try await first.text == "done")
            #expect(try await proxy.pay().text == "done")
            #expect(proxy.upstream.connections <= 2)
        }
    }
}
