import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import IdemptxTesting
import TestSupport
import Testing

/// Over HTTP/2, a server cancels the task of a request whose caller hangs up.
@Suite("A request that is cancelled")
struct CancelledRequestTests {
    private let ledger = Ledger()
    private let gate = Gate()

    private func router(_ response: @escaping @Sendable (Int) async throws -> Response) -> Router<BasicRequestContext> {
        let (ledger, gate) = (self.ledger, self.gate)
        let handler: @Sendable (Request, BasicRequestContext) async throws -> Response = { _, _ in
            let entry = ledger.add()
            await gate.pass()
            try Task.checkCancellation()
            return try await response(entry)
        }
        let router = Router()
        router.group("group").add(middleware: IdempotencyMiddleware(store: MemoryStore())).post(use: handler)
        router.post("single", use: idempotent(store: MemoryStore(), handler: handler))
        return router
    }

    @Test("runs to its end, and its response is stored", arguments: ["/group", "/single"])
    func whole(path: String) async throws {
        try await Application(router: self.router { Response(status: .created, headers: [.location: "/\($0)"]) })
            .test(.router) { client in
                let request = Task { try await client.execute(uri: path, idempotencyKey: "k-1") }
                try await eventually { self.gate.arrivals == 1 }
                request.cancel()
                self.gate.open()
                _ = await request.result
                try await eventually { try await client.execute(uri: path, idempotencyKey: "k-1").isReplay }
                let again = try await client.execute(uri: path, idempotencyKey: "k-1")
                #expect(again.status == .created)
                #expect(again.headers[.location] == "/1")
            }
        #expect(self.ledger.count == 1)
    }

    @Test("streams to its end, and its response is stored", arguments: ["/group", "/single"])
    func streamed(path: String) async throws {
        self.gate.open()
        let streaming = Gate()
        let router = self.router { _ in
            Response(
                status: .ok,
                body: ResponseBody { writer in
                    try await writer.write(ByteBuffer(string: "a"))
                    await streaming.pass()
                    try Task.checkCancellation()
                    try await writer.write(ByteBuffer(string: "b"))
                    try await writer.finish(nil)
                })
        }
        try await Application(router: router).test(.router) { client in
            let request = Task { try await client.execute(uri: path, idempotencyKey: "k-1") }
            try await eventually { streaming.arrivals == 1 }
            request.cancel()
            streaming.open()
            _ = await request.result
            try await eventually { try await client.execute(uri: path, idempotencyKey: "k-1").isReplay }
            #expect(try await client.execute(uri: path, idempotencyKey: "k-1").text == "ab")
        }
        #expect(self.ledger.count == 1)
    }

    @Test("is cancelled if it is not guarded")
    func unguarded() async throws {
        let gate = self.gate
        let router = Router()
        router.get(
            "single",
            use: idempotent(store: MemoryStore()) { (_, _: BasicRequestContext) in
                await gate.pass()
                return "\(Task.isCancelled)"
            })
        try await Application(router: router).test(.router) { client in
            let request = Task { try await client.execute(uri: "/single", method: .get) }
            try await eventually { self.gate.arrivals == 1 }
            request.cancel()
            self.gate.open()
            if case .success(let response) = await request.result { #expect(response.text == "true") }
        }
    }
}
