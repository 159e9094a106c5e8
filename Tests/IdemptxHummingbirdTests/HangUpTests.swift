import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import IdemptxTesting
import TestSupport
import Testing

@Suite("A caller who hangs up")
struct HangUpTests {
    private let ledger = Ledger()
    private let gate = Gate()

    private func app(
        store: any IdempotencyStore = MemoryStore(),
        policy: IdempotencyPolicy = IdempotencyPolicy()
    ) -> some ApplicationProtocol {
        let (ledger, gate) = (self.ledger, self.gate)
        let router = Router()
        router.group("charges")
            .add(
                middleware: IdempotencyMiddleware(
                    store: store, policy: policy)
            )
            .post { request, context -> Charge in
                let order = try await request.decode(as: Order.self, context: context)
                let id = ledger.add()
                await gate.pass()
                return Charge(id: id, amount: order.amount)
            }
        return Application(router: router)
    }

    @Test("cancels nothing: the charge ends, is stored, and the retry gets it")
    func whileRunning() async throws {
        try await self.app().test(.ahc()) { client in
            try await RawConnection.open(port: #require(client.port)) { connection in
                try await connection.post("/charges", key: "k-1", body: #"{"amount":5}"#)
                try await eventually { self.gate.arrivals == 1 }
            }
            let running = try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5))
            #expect(try running.problemKind == .requestInProgress)
            self.gate.open()
            try await eventually {
                try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5)).isReplay
            }
        }
        #expect(self.ledger.count == 1)
    }

    @Test(
        "before the end of the body has asked for nothing",
        arguments: ["Content-Length: 100", "Transfer-Encoding: chunked"])
    func withinBody(framing: String) async throws {
        self.gate.open()
        try await self.app().test(.ahc()) { client in
            let chunk = framing.hasPrefix("T") ? "c\r\n{\"amount\":5}\r\n" : "{\"amount\":5}"
            try await RawConnection.open(port: #require(client.port)) { connection in
                try await connection.write(
                    "POST /charges HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: k-1\r\n\(framing)\r\n\r\n\(chunk)")
                connection.endWriting()
                // Only then is the server done with it.
                _ = try await connection.readToEnd()
            }
            // The whole request with the same key is the first that counts.
            let whole = try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5))
            #expect(whole.idempotencyStatus == .new)
            #expect(whole.text.contains(#""id":1"#))
        }
        #expect(self.ledger.count == 1)
    }

    @Test("while waiting leaves the others waiting")
    func whileWaiting() async throws {
        let store = FaultyStore(MemoryStore())
        let policy = IdempotencyPolicy { $0.waitTimeout = .seconds(60) }
        try await self.app(store: store, policy: policy).test(.ahc()) { client in
            let port = try #require(client.port)
            try await withThrowingTaskGroup(of: TestResponse.self) { group in
                group.addTask { try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5)) }
                try await eventually { self.gate.arrivals == 1 }
                try await RawConnection.open(port: port) { connection in
                    try await connection.post("/charges", key: "k-1", body: #"{"amount":5}"#)
                    // Its own claim, and that of the group which it forms.
                    try await eventually { store.count(of: .claim) >= 3 }
                }
                group.addTask { try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5)) }
                try await eventually { store.count(of: .claim) >= 4 }
                self.gate.open()
                for try await response in group { #expect(response.text.contains(#""id":1"#)) }
            }
        }
        #expect(self.ledger.count == 1)
    }
}

@Suite("A caller who stops reading")
struct StalledReaderTests {
    @Test("does not hold the operation: the stream is recorded to its end, and the retry gets it")
    func stalled() async throws {
        let router = Router()
        router.post(
            "events",
            use: idempotent(store: MemoryStore(), policy: IdempotencyPolicy { $0.maxResponseBody = 64 << 20 }) { _, _ in
                Response(
                    status: .ok,
                    body: ResponseBody { writer in
                        // More than the buffers of two sockets hold.
                        for _ in 0..<32 { try await writer.write(ByteBuffer(repeating: 7, count: 1 << 20)) }
                        try await writer.finish(nil)
                    })
            })
        try await Application(router: router).test(.ahc()) { client in
            try await RawConnection.open(port: #require(client.port)) { connection in
                try await connection.post("/events", key: "k-1", body: "")
                _ = try await connection.read(until: "X-Idempotency-Status: new")
                // The connection stays open, and the client does not read.
                try await eventually {
                    try await client.execute(uri: "/events", idempotencyKey: "k-1").isReplay
                }
            }
        }
    }
}
