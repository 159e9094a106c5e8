import HTTPTypes
import Idemptx
import IdemptxVapor
import NIOCore
import NIOHTTP1
import TestSupport
import Testing
import Vapor

/// An application on a free port while `body` runs.
func withApplication(
    _ configure: (Application) throws -> Void, _ body: (Int) async throws -> Void
) async throws {
    let app = try await Application.make(.testing)
    app.http.server.configuration.address = .hostname("127.0.0.1", port: 0)
    do {
        try configure(app)
        try await app.asyncBoot()
        try await app.server.start(address: nil)
        try await body(try #require(app.http.server.shared.localAddress?.port))
        await app.server.shutdown()
    } catch {
        try? await app.asyncShutdown()
        throw error
    }
    try await app.asyncShutdown()
}

@Suite("The adapter for Vapor, seen from the wire", .timeLimit(.minutes(2)))
struct VaporTests {
    private let policy = IdempotencyPolicy {
        $0.maxRequestBody = 1_000
        $0.maxResponseBody = 1_000
    }

    /// One request, over a connection of its own, and what comes until its end.
    private func send(_ line: String, _ fields: [String] = [], body: String = "", port: Int) async throws -> String {
        let lines = ["\(line) HTTP/1.1", "Host: api.test", "Connection: close"] + fields
        return try await RawConnection.open(port: port) { connection in
            try await connection.write(lines.joined(separator: "\r\n") + "\r\n\r\n" + body)
            return String(decoding: try await connection.takeRest(), as: UTF8.self)
        }
    }

    @Test(
        "does what every adapter has to do, with streams of Vapor's own and of ours", arguments: AdapterCase.allCases,
        [true, false])
    func conforms(_ adapterCase: AdapterCase, isRecordable: Bool) async throws {
        let script = AdapterScript()
        try await withApplication { app in
            app.grouped(IdempotencyMiddleware(store: MemoryStore(), policy: self.policy)).post("**") { request in
                let reply = try await script.run(request.url.path)
                let status = HTTPResponseStatus(statusCode: reply.status)
                let headers = HTTPHeaders(reply.fields.map { ($0.name, $0.value) })
                guard let pieces = reply.pieces else {
                    return Response(
                        status: status, headers: headers, body: .init(buffer: ByteBuffer(bytes: reply.body)))
                }
                if isRecordable {
                    return Response(status: status, headers: headers) { write in
                        for piece in pieces { try await write(piece) }
                    }
                }
                let body = Response.Body(asyncStream: { writer in
                    for piece in pieces { try await writer.writeBuffer(ByteBuffer(bytes: piece)) }
                    try await writer.write(.end)
                })
                return Response(status: status, headers: headers, body: body)
            }
        } _: { port in
            try await adapterCase.play(port: port, script: script)
        }
    }

    @Test("hands the body on, whether it came in one piece or in chunks", arguments: [true, false])
    func handsTheBodyOn(isChunked: Bool) async throws {
        try await withApplication { app in
            app.grouped(IdempotencyMiddleware(store: MemoryStore())).post("echo") { request in
                #expect(request.idempotency?.attempt == 1)
                #expect(IdempotencyContext.current?.attempt == 1)
                return request.body.string ?? ""
            }
        } _: { port in
            let framing = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: 10"
            let body = isChunked ? "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n" : "helloworld"
            let response = try await self.send("POST /echo", ["Idempotency-Key: k-1", framing], body: body, port: port)
            #expect(response.hasSuffix("\r\n\r\nhelloworld"))
        }
    }

    @Test(
        "refuses a body without a length that is too large, and runs nothing",
        arguments: IdempotencyPolicy.Mode.allCases)
    func refusesLargeChunkedBodies(mode: IdempotencyPolicy.Mode) async throws {
        let ledger = Ledger()
        var policy = self.policy
        policy.mode = mode
        try await withApplication { app in
            app.grouped(IdempotencyMiddleware(store: MemoryStore(), policy: policy)).post("echo") { request in
                ledger.add()
                return "\(request.body.data?.readableBytes ?? 0)"
            }
        } _: { port in
            let chunk = "258\r\n\(String(repeating: "5", count: 600))\r\n"
            let response = try await self.send(
                "POST /echo", ["Idempotency-Key: k-1", "Transfer-Encoding: chunked"],
                body: chunk + chunk + "0\r\n\r\n", port: port)
            // Off, the layer reads nothing.
            #expect(response.hasPrefix(mode == .off ? "HTTP/1.1 200" : "HTTP/1.1 413"))
            #expect(ledger.count == (mode == .off ? 1 : 0))
        }
    }

    @Test("takes half a body for no request")
    func halfABody() async throws {
        let ledger = Ledger()
        try await withApplication { app in
            app.grouped(IdempotencyMiddleware(store: MemoryStore())).post("charges") { _ in "\(ledger.add())" }
        } _: { port in
            try await RawConnection.open(port: port) { connection in
                try await connection.write(
                    "POST /charges HTTP/1.1\r\nHost: api.test\r\nIdempotency-Key: k-1\r\nContent-Length: 10\r\n\r\nhello"
                )
            }
            for _ in 0..<2 {
                let response = try await self.send(
                    "POST /charges", ["Idempotency-Key: k-1", "Content-Length: 5"], body: "hello", port: port)
                #expect(response.hasSuffix("\r\n\r\n1"))
            }
            #expect(ledger.count == 1)
        }
    }

    @Test("keeps callers apart by who they are to Vapor")
    func principals() async throws {
        struct User: Authenticatable {
            let name: String
        }
        struct Authenticator: AsyncBearerAuthenticator {
            func authenticate(bearer: BearerAuthorization, for request: Request) async throws {
                // A token is a name and a number: a renewed one is of the same user.
                request.auth.login(User(name: String(bearer.token.prefix { $0 != "." })))
            }
        }
        let ledger = Ledger()
        try await withApplication { app in
            let middleware = IdempotencyMiddleware(store: MemoryStore(), scope: .principal(User.self) { $0.name })
            app.grouped(Authenticator(), middleware).post("charges") { _ in "\(ledger.add())" }
        } _: { port in
            func charge(_ fields: String...) async throws -> String {
                try await self.send(
                    "POST /charges", ["Idempotency-Key: k-1", "Content-Length: 0"] + fields, port: port)
            }
            let responses = [
                try await charge("Authorization: Bearer ann.1"), try await charge("Authorization: Bearer ann.2"),
                try await charge("Authorization: Bearer bob.1"), try await charge(),
            ]
            #expect(responses[0].hasSuffix("\r\n\r\n1"))
            #expect(responses[1].hasSuffix("\r\n\r\n1"))
            #expect(responses[2].hasSuffix("\r\n\r\n2"))
            #expect(responses[3].hasPrefix("HTTP/1.1 401"))
            #expect(ledger.count == 2)
        }
    }

    @Test("records errors as Vapor sends them, and quotes no unknown one")
    func errors() async throws {
        struct Leak: Error {
            let card = "4242"
        }
        try await withApplication { app in
            let guarded = app.grouped(IdempotencyMiddleware(store: MemoryStore()))
            guarded.post("teapot") { _ -> String in throw Abort(.imATeapot, headers: ["X-Note": "a"], reason: "short") }
            guarded.post("leak") { _ -> String in throw Leak() }
        } _: { port in
            for _ in 0..<2 {
                let teapot = try await self.send(
                    "POST /teapot", ["Idempotency-Key: k-1", "Content-Length: 0"], port: port)
                #expect(teapot.hasPrefix("HTTP/1.1 418"))
                #expect(teapot.lowercased().contains("x-note: a"))
                #expect(teapot.contains(#""reason":"short""#))
                let leak = try await self.send("POST /leak", ["Idempotency-Key: k-2", "Content-Length: 0"], port: port)
                #expect(leak.hasPrefix("HTTP/1.1 500"))
                #expect(!leak.contains("4242"))
            }
        }
    }

    @Test("sends a stream while it is made, and cuts the connection of one that fails")
    func streams() async throws {
        struct Broken: Error {}
        let gate = Gate()
        let ledger = Ledger()
        try await withApplication { app in
            let guarded = app.grouped(IdempotencyMiddleware(store: MemoryStore()))
            guarded.post("events") { _ in
                Response { write in
                    try await write(Array("first".utf8))
                    await gate.pass()
                    try await write(Array("second".utf8))
                }
            }
            guarded.post("broken") { _ in
                ledger.add()
                return Response { write in
                    try await write(Array("first".utf8))
                    throw Broken()
                }
            }
        } _: { port in
            try await RawConnection.open(port: port) { connection in
                try await connection.write(
                    "POST /events HTTP/1.1\r\nHost: api.test\r\nIdempotency-Key: k-1\r\nContent-Length: 0\r\n\r\n")
                _ = try await connection.read(until: "first")
                gate.open()
                _ = try await connection.read(until: "second")
                _ = try await connection.read(until: "0\r\n\r\n")
            }
            let again = try await self.send("POST /events", ["Idempotency-Key: k-1", "Content-Length: 0"], port: port)
            #expect(again.hasSuffix("\r\n\r\nfirstsecond"))
            let broken = try await self.send("POST /broken", ["Idempotency-Key: k-2", "Content-Length: 0"], port: port)
            #expect(!broken.hasSuffix("0\r\n\r\n"))
            #expect(ledger.count == 1)
        }
    }
}
