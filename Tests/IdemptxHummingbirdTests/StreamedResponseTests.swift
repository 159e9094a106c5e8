import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import IdemptxTesting
import TestSupport
import Testing

@Suite("A streamed response")
struct StreamedResponseTests {
    private let ledger = Ledger()

    private func app(
        store: any IdempotencyStore = MemoryStore(),
        policy: IdempotencyPolicy = IdempotencyPolicy(),
        // Hummingbird is built without nonisolated(nonsending) by default, so that its writers are used elsewhere.
        _ stream: @escaping @Sendable @concurrent (inout any ResponseBodyWriter) async throws -> Void
    ) -> some ApplicationProtocol {
        let ledger = self.ledger
        let router = Router()
        router.post(
            "events",
            use: idempotent(store: store, policy: policy) { _, _ in
                ledger.add()
                return Response(
                    status: .ok, headers: [.contentType: "text/event-stream"], body: ResponseBody(stream))
            })
        return Application(router: router)
    }

    private static func event(_ number: Int) -> ByteBuffer { ByteBuffer(string: "data: \(number)\n\n") }

    @Test("is replayed whole", arguments: everySetup)
    func replays(setup: TestingSetup) async throws {
        let app = self.app { writer in
            for number in 1...100 { try await writer.write(Self.event(number)) }
            try await writer.finish(nil)
        }
        try await app.test(setup) { client in
            let first = try await client.execute(uri: "/events", idempotencyKey: "k-1")
            let again = try await client.execute(uri: "/events", idempotencyKey: "k-1")
            #expect(first.text == (1...100).map { "data: \($0)\n\n" }.joined())
            #expect(again.isReplay)
            #expect(again.repeatable == first.repeatable)
        }
        #expect(self.ledger.count == 1)
    }

    @Test("flows as it is made, before it is stored")
    func flows() async throws {
        let gate = Gate()
        let storing = Gate()
        let store = FaultyStore(MemoryStore())
        store.inject(.waits { await storing.pass() }, at: .complete)
        let app = self.app(store: store) { writer in
            try await writer.write(Self.event(1))
            await gate.pass()
            try await writer.write(Self.event(2))
            try await writer.finish(nil)
        }
        try await app.test(.ahc()) { client in
            try await RawConnection.open(port: #require(client.port)) { connection in
                try await connection.post("/events", key: "k-1", body: "")
                // The first event arrives while the second is not made.
                #expect(try await connection.read(until: "data: 1").contains("X-Idempotency-Status: new"))
                gate.open()
                #expect(try await connection.read(until: "data: 2").contains("data: 2"))
                try await eventually { storing.arrivals == 1 }
                storing.open()
                #expect(try await connection.read(until: "\r\n0\r\n\r\n").hasSuffix("\r\n0\r\n\r\n"))
            }
            #expect(try await client.execute(uri: "/events", idempotencyKey: "k-1").isReplay)
        }
    }

    @Test("is not ended as if whole if it could not be stored")
    func notStored() async throws {
        let store = FaultyStore(MemoryStore())
        store.breakDown(at: .complete)
        let app = self.app(store: store, policy: IdempotencyPolicy { $0.completionRetryTime = .zero }) { writer in
            try await writer.write(Self.event(1))
            try await writer.finish(nil)
        }
        try await app.test(.ahc()) { client in
            let text = try await RawConnection.open(port: #require(client.port)) { connection in
                try await connection.post("/events", key: "k-1", body: "")
                return try await connection.readToEnd()
            }
            #expect(text.contains("data: 1"))
            #expect(!text.contains("\r\n0\r\n\r\n"))
        }
    }

    @Test("that breaks off cuts the connection, and leaves a tombstone")
    func breaksOff() async throws {
        let app = self.app { writer in
            try await writer.write(Self.event(1))
            throw CardDeclined()
        }
        try await app.test(.ahc()) { client in
            let text = try await RawConnection.open(port: #require(client.port)) { connection in
                try await connection.post("/events", key: "k-1", body: "")
                return try await connection.readToEnd()
            }
            #expect(text.contains("data: 1"))
            #expect(!text.contains("\r\n0\r\n\r\n"))
            let again = try await client.execute(uri: "/events", idempotencyKey: "k-1")
            #expect(try again.problemKind == .responseNotReplayable)
            #expect(try again.problem.originalStatus == 502)
        }
        #expect(self.ledger.count == 1)
    }

    @Test("that its producer does not finish counts as broken off")
    func unfinished() async throws {
        let app = self.app { writer in try await writer.write(Self.event(1)) }
        try await app.test(.ahc()) { client in
            let text = try await RawConnection.open(port: #require(client.port)) { connection in
                try await connection.post("/events", key: "k-1", body: "")
                return try await connection.read(until: "data: 1")
            }
            #expect(!text.contains("\r\n0\r\n\r\n"))
            try await eventually {
                try await client.execute(uri: "/events", idempotencyKey: "k-1").text.contains("502")
            }
        }
    }

    @Test("leaves a tombstone at the moment that it grows too large, and flows on", arguments: everySetup)
    func tooLarge(setup: TestingSetup) async throws {
        let policy = IdempotencyPolicy { $0.maxResponseBody = 1000 }
        let app = self.app(policy: policy) { writer in
            for _ in 0..<200 { try await writer.write(ByteBuffer(repeating: 7, count: 1000)) }
            try await writer.finish(nil)
        }
        try await app.test(setup) { client in
            let first = try await client.execute(uri: "/events", idempotencyKey: "k-1")
            #expect(first.body.readableBytes == 200_000)
            let again = try await client.execute(uri: "/events", idempotencyKey: "k-1")
            #expect(try again.problemKind == .responseNotReplayable)
            #expect(try again.problem.originalStatus == 200)
        }
        #expect(self.ledger.count == 1)
    }

    @Test("is made to its end and stored if the caller leaves half-way")
    func callerLeaves() async throws {
        let gate = Gate()
        let app = self.app { writer in
            try await writer.write(Self.event(1))
            await gate.pass()
            for number in 2...100 { try await writer.write(Self.event(number)) }
            try await writer.finish(nil)
        }
        try await app.test(.ahc()) { client in
            try await RawConnection.open(port: #require(client.port)) { connection in
                try await connection.post("/events", key: "k-1", body: "")
                _ = try await connection.read(until: "data: 1")
            }
            gate.open()
            try await eventually { try await client.execute(uri: "/events", idempotencyKey: "k-1").isReplay }
            let again = try await client.execute(uri: "/events", idempotencyKey: "k-1")
            #expect(again.text.hasSuffix("data: 100\n\n"))
        }
        #expect(self.ledger.count == 1)
    }

    @Test("without an end stops once its client has left, and it is too large to be stored")
    func endless() async throws {
        let chunks = Ledger()
        let app = self.app(policy: IdempotencyPolicy { $0.maxResponseBody = 1000 }) { writer in
            while true {
                chunks.add()
                try await writer.write(ByteBuffer(repeating: 7, count: 100))
                // The tests beside it need the processor, too.
                try await Task.sleep(for: .milliseconds(1))
            }
        }
        try await app.test(.ahc()) { client in
            try await RawConnection.open(port: #require(client.port)) { connection in
                try await connection.post("/events", key: "k-1", body: "")
                _ = try await connection.read(until: "X-Idempotency-Status: new")
            }
            var last = 0
            try await eventually {
                defer { last = chunks.count }
                try await Task.sleep(for: .milliseconds(100))
                return chunks.count == last
            }
            let again = try await client.execute(uri: "/events", idempotencyKey: "k-1")
            #expect(try again.problemKind == .responseNotReplayable)
        }
        #expect(self.ledger.count == 1)
    }

    @Test("is made and stored without a reader")
    func neverAskedFor() async throws {
        let ledger = self.ledger
        let router = Router()
        router.add(middleware: DroppingMiddleware())
        router.add(middleware: IdempotencyMiddleware(store: MemoryStore()))
        router.post("events") { _, _ in
            ledger.add()
            return Response(
                status: .ok,
                body: ResponseBody { writer in
                    try await writer.write(Self.event(1))
                    try await writer.finish(nil)
                })
        }
        try await Application(router: router).test(.router) { client in
            let dropped = try await client.execute(
                uri: "/events", headers: [.expect: "nothing"], idempotencyKey: "k-1")
            #expect(dropped.status == .noContent)
            try await eventually { try await client.execute(uri: "/events", idempotencyKey: "k-1").isReplay }
            let again = try await client.execute(uri: "/events", idempotencyKey: "k-1")
            #expect(again.text == "data: 1\n\n")
        }
        #expect(self.ledger.count == 1)
    }

    @Test("is made with the attempt at hand")
    func context() async throws {
        let app = self.app { writer in
            try await writer.write(ByteBuffer(string: "attempt \(IdempotencyContext.current?.attempt ?? 0)"))
            try await writer.finish(nil)
        }
        try await app.test(.ahc()) { client in
            let response = try await client.execute(uri: "/events", idempotencyKey: "k-1")
            #expect(response.text == "attempt 1")
        }
    }
}

/// Forgets the response to a request that expects nothing.
private struct DroppingMiddleware<Context: RequestContext>: RouterMiddleware {
    func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        let response = try await next(request, context)
        return request.headers[.expect] == "nothing" ? Response(status: .noContent) : response
    }
}
