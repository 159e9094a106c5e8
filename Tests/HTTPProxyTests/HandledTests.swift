import HTTPProxy
import HTTPTestSupport
import HTTPTypes
import NIOCore
import Synchronization
import TestSupport
import Testing

@Suite("A request that is handled")
struct HandledTests {
    @Test("has its head as it was sent, and as the rest of the Swift world has it")
    func head() async throws {
        let seen = Ledger()
        let handle: TestHandler.Handle = { request in
            let head = try #require(request.httpRequest)
            #expect(head.method == .post)
            #expect(head.path == "/charges?a=b")
            #expect(head.authority == "api.test")
            #expect(head.headerFields[values: HTTPField.Name("X-A") ?? .accept] == ["1", "2"])
            #expect(request.client == "127.0.0.1")
            #expect(!request.isSecure)
            seen.add()
            return HandledResponse(head: HTTPResponse(status: .created), body: .bytes(ByteBuffer(string: "made here")))
        }
        try await TestProxy.with(handle: handle) { proxy async throws in
            let response = try await proxy.send(
                "POST /charges?a=b", ["X-A: 1", "Idempotency-Key: k", "x-a: 2"], body: "abc")
            #expect(response.start == "HTTP/1.1 201 Created")
            #expect(response.text == "made here")
            #expect(response["Content-Length"] == ["9"])
            #expect(response["Date"].count == 1)
            #expect(seen.count == 1)
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test("goes on with what the handler changes of it")
    func changes() async throws {
        let handle: TestHandler.Handle = { request in
            let changes = FieldChanges(
                removed: ["accept-encoding", "x-idempotency-attempt"],
                added: [(name: "X-Idempotency-Attempt", value: "2")])
            guard
                case .response(let response) = await request.forward(
                    body: try await request.collect(), changes: changes, demand: .fresh)
            else { throw ProxyFailure.upstreamFailed }
            return try await response.collected()
        }
        try await TestProxy.with(handle: handle) { proxy async throws in
            for _ in 1...3 { _ = try await proxy.pay(["Accept-Encoding: gzip", "x-idempotency-attempt: 9", "X-A: 1"]) }
            let request = try #require(proxy.upstream.requests.last)
            #expect(request["Accept-Encoding"] == [])
            #expect(request["X-Idempotency-Attempt"] == ["2"])
            #expect(request["X-A"] == ["1"])
            #expect(request.text == #"{"amount":5}"#)
            #expect(proxy.upstream.connections == 3)
        }
    }

    @Test("leaves nothing behind", arguments: ["response", "stream", "failure", "forward"])
    func nothingLeft(_ end: String) async throws {
        let bodies = WeakReferences()
        let handle: TestHandler.HandleAny = { request in
            bodies.add(request.body)
            request.signals.onSignal { [request] _ in request.cancel() }
            let read = try await request.collect()
            switch end {
            case "response": return .response(HandledResponse(head: HTTPResponse(status: .ok), body: .bytes(read)))
            case "stream":
                return .response(
                    HandledResponse(
                        head: HTTPResponse(status: .ok),
                        body: .stream(length: nil) { writer in
                            try await writer.write(read)
                            return []
                        }))
            case "forward": return .forward(read: read)
            default: throw ProxyFailure.upstreamFailed
            }
        }
        try await TestProxy.with(handleAny: handle) { proxy in
            for _ in 1...3 { _ = try await proxy.pay() }
            try await eventually { bodies.areAllGone }
            #expect(bodies.count == 3)
        }
    }

    @Test("can get its response piece by piece, with trailers")
    func streamed() async throws {
        let gate = Gate()
        let handle: TestHandler.Handle = { request in
            let name = try #require(HTTPField.Name("X-Sum"))
            return HandledResponse(
                head: HTTPResponse(status: .ok),
                body: .stream(length: nil) { writer in
                    try await writer.write(ByteBuffer(string: "first"))
                    await gate.pass()
                    try await writer.write(ByteBuffer(string: "second"))
                    return [HTTPField(name: name, value: "7")]
                })
        }
        try await TestProxy.with(handle: handle) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.post("/", host: "api.test", key: "k-1", body: "x")
                #expect(try await connection.read(until: "first").contains("Transfer-Encoding: chunked"))
                gate.open()
                let response = try await connection.readResponse()
                #expect(response.text == "firstsecond")
                #expect(response.trailers == ["X-Sum: 7"])
            }
        }
    }

    @Test("can get the stream of the upstream as its response, which waits for a client that takes nothing")
    func backPressure() async throws {
        let (written, size) = (Ledger(), 64 * 1024)
        let script: TestUpstream.Script = { connection, _ in
            _ = try await connection.readMessage()
            try await connection.write("HTTP/1.1 200 OK\r\nContent-Length: \(size * 16_384)\r\n\r\n")
            for _ in 0..<16_384 {
                try await connection.write([UInt8](repeating: 7, count: size))
                written.add()
            }
        }
        try await TestProxy.with(script: script, handle: TestHandler.streaming) { proxy async throws in
            try await proxy.openWithoutReading { channel in
                try await channel.writeAndFlush(
                    ByteBuffer(
                        string: "POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n"))
                let amount = try await StreamingTests.settled { written.count * size }
                #expect(amount > 0)
                #expect(amount < 512 << 20)
            }
        }
    }

    @Test("whose handler reads slowly holds its client back")
    func slowHandler() async throws {
        let gate = Gate()
        let handle: TestHandler.Handle = { request in
            await gate.pass()
            var size = 0
            for try await chunk in request.body { size += chunk.readableBytes }
            return HandledResponse(head: HTTPResponse(status: .ok), body: .bytes(ByteBuffer(string: "\(size)")))
        }
        try await TestProxy.with(handle: handle, configure: Change { $0.bodies = BodyBudget(limit: 2 << 30) }) {
            proxy async throws in
            let (written, size, count) = (Ledger(), 64 * 1024, 16_384)
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(
                    "POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: \(size * count)\r\n\r\n")
                let channel = connection.channel
                let upload = Task {
                    for _ in 0..<count {
                        try await channel.writeAndFlush(ByteBuffer(repeating: 7, count: size))
                        written.add()
                    }
                }
                let amount = try await StreamingTests.settled { written.count * size }
                #expect(amount < 512 << 20)
                gate.open()
                #expect(try await connection.readResponse().text == "\(size * count)")
                try await upload.value
            }
        }
    }

    @Test("has its trailers passed on", arguments: ["abc", ""])
    func trailers(body: String) async throws {
        try await TestProxy.with(script: TestUpstream.responding { .response(body: $0.text) }) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                let head = ["POST / HTTP/1.1", "Host: a", "Idempotency-Key: k", "Transfer-Encoding: chunked"]
                let chunk: [UInt8] = body.isEmpty ? [] : .chunks(Array(body.utf8), of: 2)
                try await connection.write(.message(head) + chunk + .message(["0", "X-Sum: 7"]))
                #expect(try await connection.readResponse().text == body)
            }
            #expect(proxy.upstream.request?.trailers == ["X-Sum: 7"])
            #expect(proxy.upstream.request?.text == body)
        }
    }

    @Test("gets leave to send its body when somebody reads it")
    func expectContinue() async throws {
        try await TestProxy.with(script: TestUpstream.responding { .response(body: $0.text) }) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(
                    .message([
                        "POST / HTTP/1.1", "Host: a", "Idempotency-Key: k", "Content-Length: 3", "Expect: 100-continue",
                    ]))
                #expect(try await connection.readResponse().status == 100)
                try await connection.write("abc")
                #expect(try await connection.readResponse().text == "abc")
            }
            #expect(proxy.upstream.request?["Expect"] == [])
        }
    }

    @Test("is told of at its end, with or without a response")
    func records() async throws {
        let script: TestUpstream.Script = { connection, _ in
            // The client of the other may leave before its request comes here.
            guard let message = try await connection.readMessage() else { return }
            guard !message.start.contains("/cut") else {
                return try await connection.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
            }
            try await connection.readToEnd()
        }
        try await TestProxy.with(script: script) { proxy in
            _ = try? await proxy.send("GET /cut")
            try await eventually { proxy.handler.records.count == 1 }
            #expect(proxy.handler.records.last?.status == 200)
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("GET /left HTTP/1.1\r\nHost: a\r\n\r\n")
                try await eventually { proxy.upstream.connections == 2 }
                try await connection.reset()
            }
            try await eventually { proxy.handler.records.count == 2 }
            #expect(proxy.handler.records.last?.target == "/left")
            #expect(proxy.handler.records.last?.status == nil)
        }
    }

    @Test("is told of without a response if its client is given up in the middle of it")
    func recordOfSilentClient() async throws {
        try await TestProxy.with(configure: Change { $0.limits.gapTimeout = .milliseconds(200) }) { proxy in
            _ = try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
                return try? await connection.readToEnd()
            }
            try await eventually { proxy.handler.records.count == 1 }
            #expect(proxy.handler.records.last?.target == "/")
            #expect(proxy.handler.records.last?.status == nil)
        }
    }

    @Test(
        "is forwarded as if it had never been handled if its handler says so, with what was read of it",
        arguments: ["Content-Length: 3000000", "Transfer-Encoding: chunked"], [true, false])
    func forwardedByHandler(framing: String, awaitsContinue: Bool) async throws {
        let handle: TestHandler.HandleAny = { request in
            for try await chunk in request.body { return .forward(read: chunk) }
            return .forward(read: ByteBuffer())
        }
        let script = TestUpstream.responding { request in .response(body: "\(request.body.count)") }
        try await TestProxy.with(script: script, handleAny: handle) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                let expect = awaitsContinue ? ["Expect: 100-continue"] : []
                try await connection.write(
                    .message(["POST / HTTP/1.1", "Host: a", "Idempotency-Key: k", framing] + expect))
                if awaitsContinue { #expect(try await connection.readResponse().status == 100) }
                let body = [UInt8](repeating: 7, count: 3_000_000)
                let isChunked = framing.hasPrefix("Transfer")
                try await connection.write(isChunked ? .chunks(body, of: 100_000) + Array("0\r\n\r\n".utf8) : body)
                #expect(try await connection.readResponse().text == "3000000")
            }
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test("tells its handler that its client has closed its side, or left", arguments: HangUp.allCases)
    func signals(hangUp: HangUp) async throws {
        let (gate, told) = (Gate(), Ledger())
        let expected: ClientSignals.Signal = hangUp == .end ? .closedItsSide : .left
        let handle: TestHandler.Handle = { request in
            request.signals.onSignal { if $0 == expected { told.add() } }
            await gate.pass()
            return HandledResponse(head: HTTPResponse(status: .ok), body: .bytes(ByteBuffer()))
        }
        try await TestProxy.with(handle: handle) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.post("/", host: "api.test", key: "k-1", body: "x")
                try await eventually { gate.arrivals == 1 }
                try await hangUp.say(connection)
                try await eventually { told.count == 1 }
                gate.open()
            }
        }
    }

    @Test("can be broken off by its handler")
    func cancelled() async throws {
        let arrived = Gate()
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            arrived.open()
            try await connection.readToEnd()
        }
        let extents = Extents()
        let handle: TestHandler.Handle = { request in
            let task = Task { try await extents.relaying(request) }
            await arrived.pass()
            task.cancel()
            return try await task.value
        }
        try await TestProxy.with(script: script, handle: handle) { proxy async throws in
            #expect(try await proxy.pay().text == "upstreamFailed")
            #expect(extents.all == [.mayHaveBeenProcessed])
            try await eventually { proxy.upstream.closedConnections == 1 }
        }
    }
}

/// Bodies that must not outlive their requests.
private final class WeakReferences: Sendable {
    private struct Reference {
        weak var body: BodyPipe?
    }

    private let references = Mutex<[Reference]>([])

    var count: Int { self.references.withLock { $0.count } }
    var areAllGone: Bool { self.references.withLock { $0.allSatisfy { $0.body == nil } } }

    func add(_ body: BodyPipe) {
        self.references.withLock { $0.append(Reference(body: body)) }
    }
}
