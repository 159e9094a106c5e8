import HTTPProxy
import HTTPTestSupport
import NIOCore
import TestSupport
import Testing

@Suite("The limits")
struct LimitTests {
    @Test("of the head", arguments: ["size", "count", "target", "line"])
    func head(_ kind: String) async throws {
        let configure = { (configuration: inout ServerConfiguration) in
            configuration.limits.maxHeaderSize = 4_000
            configuration.limits.maxHeaderCount = 20
        }
        try await TestProxy.with(configure: Change(configure)) { proxy async throws in
            let long = String(repeating: "x", count: 1_000)
            let response =
                switch kind {
                case "size": try await proxy.send("GET /", (1...5).map { "X-\($0): \(long)" })
                case "count": try await proxy.send("GET /", (1...21).map { "X-\($0): 1" })
                case "target": try await proxy.send("GET /\(long)\(long)\(long)\(long)\(long)")
                default: try await proxy.send("GET /", ["X-A: \(long)\(long)\(long)\(long)\(long)"])
                }
            #expect(response.status == 431)
            #expect(response.text == "headerTooLarge")
            #expect(response["Connection"] == ["close"])
            #expect(proxy.upstream.connections == 0)
            let permitted = try await proxy.send("GET /\(long)", (1...2).map { "X-\($0): \(long)" } + ["X-3: 1"])
            #expect(permitted.status == 200)
        }
    }

    @Test("of the body, announced")
    func announcedBody() async throws {
        try await TestProxy.with(configure: Change { $0.limits.maxBodySize = 10 }) { proxy async throws in
            for fields in [[], ["Idempotency-Key: k-1"]] {
                let response = try await proxy.send("POST /", fields, body: "01234567890")
                #expect(response.status == 413)
                #expect(response.text == "requestTooLarge")
            }
            #expect(proxy.upstream.connections == 0)
            #expect(try await proxy.send("POST /", body: "0123456789").status == 200)
        }
    }

    @Test("of the body, found out while it comes", arguments: [1, 2])
    func growingBody(chunks: Int) async throws {
        let upload = Gate()
        let script: TestUpstream.Script = { connection, upstream in
            _ = try await connection.readHead()
            await upload.pass()
            upstream.record(WireMessage(body: try await connection.takeRest()))
        }
        try await TestProxy.with(script: script, configure: Change { $0.limits.maxBodySize = 10 }) {
            proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                if chunks == 2 {
                    try await connection.write("5\r\nhello\r\n")
                    try await eventually { upload.arrivals == 1 }
                }
                upload.open()
                try await connection.write("b\r\n01234567890\r\n")
                let response = try await connection.readResponse()
                #expect(response.status == 413)
                #expect(response.text == "requestTooLarge")
            }
            try await eventually { proxy.upstream.closedConnections == chunks - 1 }
            #expect(proxy.upstream.requests.map(\.text) == (chunks == 2 ? ["5\r\nhello\r\n"] : []))
        }
    }

    @Test(
        "of time for a client that keeps silent",
        arguments: [
            "", "GET / HTTP/1.1\r\nHost:", "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
            "POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k-1\r\nContent-Length: 9\r\n\r\nabc",
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        ])
    func silentClient(start: String) async throws {
        let hasResponse = start.hasPrefix("GET") && start.hasSuffix("\r\n\r\n")
        try await TestProxy.with(configure: Change { $0.limits.setTimes(to: .seconds(1)) }) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(start)
                // This side says nothing more: that the connection ends is the proxy's doing.
                let received = (try? await connection.readToEnd()) ?? ""
                #expect(received.hasPrefix("HTTP/1.1 200 OK") == hasResponse)
            }
            try await eventually { proxy.upstream.closedConnections == proxy.upstream.connections }
            #expect(proxy.upstream.requests.count == (hasResponse ? 1 : 0))
        }
    }

    @Test("of time for a client that got leave to send its body, and does not")
    func silentAfterContinue() async throws {
        let script: TestUpstream.Script = { connection, _ in
            _ = try await connection.readHead()
            try await connection.write("HTTP/1.1 100 Continue\r\n\r\n")
            try await connection.readToEnd()
        }
        try await TestProxy.with(script: script, configure: Change { $0.limits.gapTimeout = .milliseconds(500) }) {
            proxy in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(
                    "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
                #expect(try await connection.readResponse().status == 100)
                try await eventually("The upstream is told") { proxy.upstream.closedConnections == 1 }
                try await eventually("The client is given up") { !connection.channel.isActive }
            }
        }
    }

    @Test(
        "of time for an upstream that neither gives leave to send a body, nor responds whole",
        arguments: ["", "HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"])
    func neverContinues(_ start: String) async throws {
        let script: TestUpstream.Script = { connection, _ in
            _ = try await connection.readHead()
            try await connection.write(start)
            try await connection.readToEnd()
        }
        try await TestProxy.with(
            script: script, configure: Change { $0.limits.upstreamTimeout = .seconds(3) }
        ) { proxy in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(
                    "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
                try await eventually("The upstream is told") { proxy.upstream.closedConnections == 1 }
                let received = try await connection.readToEnd()
                #expect(received.contains("HTTP/1.1 504 ") == !start.contains("200 OK"))
            }
        }
    }

    @Test("of time for a client that sends a byte now and then", arguments: [true, false])
    func trickle(isHead: Bool) async throws {
        let configure = { (configuration: inout ServerConfiguration) in
            configuration.limits.setTimes(to: .milliseconds(100))
            configuration.limits.minimumBodyRate = 1_000_000
        }
        let script: TestUpstream.Script = { connection, _ in try await connection.readToEnd() }
        try await TestProxy.with(script: script, configure: Change(configure)) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                // On a busy machine, the proxy gives up before this has begun.
                try? await connection.write(
                    isHead ? "GET /" : "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
                try await eventually("The proxy gives up") {
                    try? await connection.write("x")
                    return !connection.channel.isActive
                }
            }
        }
    }

    @Test("of time for a client that takes nothing")
    func stalledReader() async throws {
        let script: TestUpstream.Script = { connection, _ in
            _ = try await connection.readMessage()
            try await connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while true { try await connection.write(.chunks([UInt8](repeating: 7, count: 65_536), of: 65_536)) }
        }
        try await TestProxy.with(script: script, configure: Change { $0.limits.setTimes(to: .seconds(1)) }) {
            proxy async throws in
            try await proxy.openWithoutReading { channel in
                try await channel.writeAndFlush(ByteBuffer(string: "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
                try await eventually("The upstream is told") { proxy.upstream.closedConnections == 1 }
            }
        }
    }

    @Test("of time are not those of a client that takes a large response slowly", arguments: [true, false])
    func slowReader(isHandled: Bool) async throws {
        let size = 16 << 20
        let script = TestUpstream.responding { _ in .response("200 OK", [], bytes: [UInt8](repeating: 7, count: size)) }
        try await TestProxy.with(script: script, configure: Change { $0.limits.setTimes(to: .seconds(4)) }) {
            proxy async throws in
            let request = isHandled ? "POST /charges" : "GET /"
            try await RawConnection.open(port: proxy.port, configure: RawConnection.takesLittle) { connection in
                let response = try await connection.sendSlowly(request, body: isHandled ? #"{"amount":5}"# : nil)
                #expect(response.utf8.count { $0 == 7 } == size)
            }
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test("do not hurry an upstream that takes its time")
    func slowUpstream() async throws {
        let gate = Gate()
        let script = TestUpstream.responding { request in
            if request.start.contains("slow") { await gate.pass() }
            return .response(body: request.start)
        }
        try await TestProxy.with(script: script, configure: Change { $0.limits.setTimes(to: .seconds(1)) }) {
            proxy async throws in
            try await RawConnection.open(port: proxy.port) { slow in
                try await slow.write("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
                try await eventually { gate.arrivals == 1 }
                // A client that keeps silent is given up meanwhile.
                _ = try await RawConnection.open(port: proxy.port) { try await $0.readToEnd() }
                gate.open()
                #expect(try await slow.readResponse().text == "GET /slow HTTP/1.1")
            }
        }
    }

    @Test("of connections: one more waits until another ends")
    func connections() async throws {
        try await TestProxy.with(configure: Change { $0.limits.maxConnections = 2 }) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { third in
                try await RawConnection.open(port: proxy.port) { first in
                    _ = try await first.send("GET /")
                    try await RawConnection.open(port: proxy.port) { second in
                        try await second.write("GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
                        // The one that is open and silent counts, too.
                        #expect(proxy.upstream.requests.count == 1)
                        _ = third
                    }
                }
                #expect(try await third.send("GET /third").status == 200)
            }
        }
    }

    @Test("of connections to the upstream are not taken up by clients that stop in the middle of a body")
    func stalledBodies() async throws {
        // However slow the machine, these clients stay.
        let configure = Change {
            $0.limits.maxUpstreamConnections = 10
            $0.limits.gapTimeout = .seconds(600)
            $0.limits.minimumBodyRate = 0
        }
        let script = TestUpstream.responding { .response(body: $0.start) }
        try await TestProxy.with(script: script, configure: configure) { proxy async throws in
            var stalled: [any Channel] = []
            for number in 1...300 {
                let channel = try await RawConnection.connect(port: proxy.port)
                stalled.append(channel)
                let key = number.isMultiple(of: 2) ? "Idempotency-Key: k\r\n" : ""
                let head = "PUT / HTTP/1.1\r\nHost: a\r\n\(key)Content-Length: 1000000\r\n\r\n"
                try await channel.writeAndFlush(
                    ByteBuffer(string: head + String(repeating: "x", count: 32 * 1024)))
            }
            for number in 1...20 {
                #expect(try await proxy.send("GET /\(number)").text == "GET /\(number) HTTP/1.1")
                #expect(try await proxy.pay().text == "POST /charges HTTP/1.1")
                #expect(try await proxy.send("PUT /\(number)", body: "abc").text == "PUT /\(number) HTTP/1.1")
            }
            #expect(stalled.count { $0.isActive } == 300)
            for channel in stalled { try? await channel.close() }
        }
    }

    @Test("of all bodies together: what does not fit is refused without having run", arguments: [true, false])
    func bodyBudget(isHandled: Bool) async throws {
        let gate = Gate()
        let configure = Change {
            $0.bodies = BodyBudget(limit: 50_000)
            $0.limits.maxUpstreamConnections = 1
            $0.limits.connectTimeout = .seconds(3_600)
        }
        let script = TestUpstream.responding { request in
            if request.start.hasPrefix("GET") { await gate.pass() }
            return .response(body: "\(request.body.count)")
        }
        try await TestProxy.with(script: script, configure: configure) { proxy async throws in
            let key = isHandled ? ["Idempotency-Key: k"] : []
            let body = String(repeating: "x", count: 40_000)
            async let busy = proxy.send("GET /")
            try await eventually { gate.arrivals == 1 }
            let refused = Ledger()
            let responses = try await withThrowingTaskGroup(of: WireMessage.self) { group in
                for _ in 1...2 {
                    group.addTask {
                        let response = try await proxy.send("PUT /", key, body: body)
                        if response.status == 503 { refused.add() }
                        return response
                    }
                }
                try await eventually { refused.count > 0 }
                gate.open()
                return try await group.reduce(into: []) { $0.append($1) }
            }
            _ = try await busy
            #expect(responses.allSatisfy { $0.text == ($0.status == 503 ? "overloaded" : "40000") })
            #expect(proxy.upstream.requests.count == 1 + responses.count { $0.status == 200 })
            try await eventually("There is room again") {
                try await proxy.send("PUT /", key, body: body).text == "40000"
            }
        }
    }

    @Test("are met by two hundred clients at a time")
    func manyClients() async throws {
        try await TestProxy.with(script: TestUpstream.responding { .response(body: $0.start) }) { proxy async throws in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for client in 1...200 {
                    group.addTask {
                        try await RawConnection.open(port: proxy.port) { connection in
                            for number in 1...5 {
                                let response = try await connection.send("GET /\(client)/\(number)")
                                #expect(response.text == "GET /\(client)/\(number) HTTP/1.1")
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(proxy.upstream.requests.count == 1_000)
        }
    }
}

extension ServerLimits {
    /// Gives clients no more time than this.
    mutating func setTimes(to time: Duration) {
        self.idleTimeout = time
        self.gapTimeout = time
        self.rateWindow = time
        self.upstreamIdleTimeout = time
    }
}
