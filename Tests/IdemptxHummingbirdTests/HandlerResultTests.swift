import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import IdemptxTesting
import TestSupport
import Testing

/// Whatever a handler does, its second run would show: each writes an entry first.
@Suite("The result of a handler")
struct HandlerResultTests {
    private let ledger = Ledger()

    /// The same handler behind the middleware, at `/group`, and wrapped by itself, at `/single`.
    private func app(
        policy: IdempotencyPolicy = IdempotencyPolicy(),
        _ handler: @escaping @Sendable (Int) async throws -> some ResponseGenerator & Sendable
    ) -> some ApplicationProtocol {
        let ledger = self.ledger
        let router = Router()
        router.group("group")
            .add(middleware: IdempotencyMiddleware(store: MemoryStore(), policy: policy))
            .post { _, _ in try await handler(ledger.add()) }
        router.post(
            "single",
            use: idempotent(store: MemoryStore(), policy: policy) { _, _ in
                try await handler(ledger.add())
            })
        return Application(router: router)
    }

    /// Sends a request twice, and returns both responses.
    private func sendTwice(
        _ app: some ApplicationProtocol,
        to path: String,
        _ setup: TestingSetup = .live
    ) async throws -> (first: TestResponse, again: TestResponse) {
        try await app.test(setup) { client in
            (
                try await client.execute(uri: path, idempotencyKey: "k-1"),
                try await client.execute(uri: path, idempotencyKey: "k-1")
            )
        }
    }

    static let paths = ["/group", "/single"]

    private func expectReplay(_ responses: (first: TestResponse, again: TestResponse), _ status: HTTPResponse.Status) {
        #expect(responses.first.status == status)
        #expect(responses.first.idempotencyStatus == .new)
        #expect(responses.again.isReplay)
        #expect(responses.again.repeatable == responses.first.repeatable)
        #expect(self.ledger.count == 1)
    }

    @Test("is replayed if it is a Codable value", arguments: paths)
    func codable(path: String) async throws {
        let responses = try await self.sendTwice(self.app { Charge(id: $0, amount: 5) }, to: path)
        self.expectReplay(responses, .ok)
        #expect(responses.again.headers[.contentType] == "application/json; charset=utf-8")
    }

    @Test("is replayed if it is a text", arguments: paths)
    func text(path: String) async throws {
        let responses = try await self.sendTwice(self.app { "Charge \($0)" }, to: path)
        self.expectReplay(responses, .ok)
        #expect(responses.again.text == "Charge 1")
    }

    @Test("is replayed if it is a status only", arguments: paths, everySetup)
    func empty(path: String, setup: TestingSetup) async throws {
        let responses = try await self.sendTwice(self.app { _ in HTTPResponse.Status.noContent }, to: path, setup)
        self.expectReplay(responses, .noContent)
        #expect(responses.again.body.readableBytes == 0)
    }

    @Test("is replayed if it is an optional without a value", arguments: paths)
    func missing(path: String) async throws {
        self.expectReplay(try await self.sendTwice(self.app { _ in String?.none }, to: path), .noContent)
    }

    @Test("is replayed byte by byte if it is binary, with repeated headers in their order", arguments: paths)
    func binary(path: String) async throws {
        let (link, note) = (try HTTPField.Name.named("LINK"), try HTTPField.Name.named("x-note"))
        let responses = try await self.sendTwice(
            self.app { _ in
                var headers: HTTPFields = [.contentType: "application/octet-stream", .eTag: #""1""#]
                headers.append(HTTPField(name: link, value: "</1>; rel=self"))
                headers.append(HTTPField(name: note, value: "b"))
                headers.append(HTTPField(name: link, value: "</>; rel=up"))
                return Response(
                    status: .init(code: 299, reasonPhrase: "Rather Unusual"), headers: headers,
                    body: ResponseBody(byteBuffer: ByteBuffer(bytes: (0...255).map { UInt8($0) })))
            }, to: path)
        self.expectReplay(responses, .init(code: 299))
        #expect(responses.again.headers[values: link] == ["</1>; rel=self", "</>; rel=up"])
        #expect(responses.again.body.readableBytesView.elementsEqual(0...255))
    }

    @Test("is replayed without what belonged to the first exchange")
    func exchangeHeaders() async throws {
        let responses = try await self.sendTwice(
            self.app { _ in
                Response(
                    status: .ok,
                    headers: [.setCookie: "session=1", .retryAfter: "9", .location: "/charges/1"])
            }, to: "/group")
        #expect(responses.first.headers[.setCookie] == "session=1")
        #expect(responses.again.headers[.setCookie] == nil)
        #expect(responses.again.headers[.retryAfter] == nil)
        #expect(responses.again.headers[.location] == "/charges/1")
        #expect(responses.again.isReplay)
    }

    @Test("is replayed if it is an error with a status", arguments: paths)
    func httpError(path: String) async throws {
        let responses = try await self.sendTwice(
            self.app { _ -> String in throw HTTPError(.init(code: 402), message: "declined") }, to: path)
        self.expectReplay(responses, .init(code: 402))
        #expect(responses.again.text.contains("declined"))
    }

    @Test("is replayed as 500 without its text if it is any other error", arguments: paths)
    func otherError(path: String) async throws {
        let responses = try await self.sendTwice(self.app { _ -> String in throw CardDeclined() }, to: path)
        self.expectReplay(responses, .internalServerError)
        #expect(!responses.first.text.contains("CardDeclined"))
    }

    @Test("frees the key if it says that nothing was done", arguments: paths)
    func released(path: String) async throws {
        let responses = try await self.sendTwice(
            self.app { entry -> String in
                if entry == 1 { throw HTTPError(.tooManyRequests) }
                return "Charge \(entry)"
            }, to: path)
        #expect(responses.first.status == .tooManyRequests)
        #expect(responses.again.text == "Charge 2")
        #expect(!responses.again.isReplay)
    }

    @Test("frees the key after a server error, if that is the policy", arguments: paths)
    func serverErrorReleased(path: String) async throws {
        let app = self.app(policy: IdempotencyPolicy { $0.replay = .retryServerErrors }) { entry -> String in
            if entry == 1 { throw CardDeclined() }
            return "Charge \(entry)"
        }
        #expect(try await self.sendTwice(app, to: path).again.text == "Charge 2")
    }

    @Test("leaves a tombstone if it is too large, and reaches its caller whole", arguments: paths, everySetup)
    func tooLarge(path: String, setup: TestingSetup) async throws {
        let policy = IdempotencyPolicy { $0.maxResponseBody = 1000 }
        let app = self.app(policy: policy) { _ in
            Response(
                status: .created, headers: [.location: "/charges/1"],
                body: ResponseBody(byteBuffer: ByteBuffer(repeating: 7, count: 1001)))
        }
        let responses = try await self.sendTwice(app, to: path, setup)
        #expect(responses.first.status == .created)
        #expect(responses.first.idempotencyStatus == .new)
        #expect(responses.first.body == ByteBuffer(repeating: 7, count: 1001))
        #expect(responses.again.status == .conflict)
        #expect(try responses.again.problemKind == .responseNotReplayable)
        #expect(try responses.again.problem.originalStatus == 201)
        #expect(try responses.again.problem.location == "/charges/1")
        #expect(self.ledger.count == 1)
    }

    @Test("may be as large as the policy says")
    func asLargeAsPermitted() async throws {
        let policy = IdempotencyPolicy { $0.maxResponseBody = 1000 }
        let app = self.app(policy: policy) { _ in ByteBuffer(repeating: 7, count: 1000) }
        self.expectReplay(try await self.sendTwice(app, to: "/group"), .ok)
    }

    @Test("keeps its trailers on the first response; a replay has none")
    func trailers() async throws {
        let app = self.app { _ in
            Response(
                status: .ok,
                body: ResponseBody(contentLength: 4) { writer in
                    try await writer.write(ByteBuffer(string: "body"))
                    try await writer.finish([.eTag: #""1""#])
                })
        }
        let responses = try await self.sendTwice(app, to: "/group", .router)
        #expect(responses.first.trailerHeaders == [.eTag: #""1""#])
        #expect(responses.again.text == "body")
        #expect(responses.again.trailerHeaders ?? [:] == [:])
    }

    enum BrokenBody: CaseIterable {
        case fails
        case isNeverFinished
        case isTooShort
    }

    @Test("is an error if its body cannot be made as announced, and nothing runs again", arguments: BrokenBody.allCases)
    func brokenBody(_ flaw: BrokenBody) async throws {
        let app = self.app { _ in
            Response(
                status: .ok,
                body: ResponseBody(contentLength: 4) { writer in
                    try await writer.write(ByteBuffer(string: flaw == .isTooShort ? "abc" : "abcd"))
                    if flaw == .fails { throw CardDeclined() }
                    if flaw != .isNeverFinished { try await writer.finish(nil) }
                })
        }
        self.expectReplay(try await self.sendTwice(app, to: "/group"), .internalServerError)
    }

    @Test("is the response that its body threw, if nothing has been sent yet")
    func bodyThrows() async throws {
        let app = self.app { _ in
            Response(
                status: .ok, body: ResponseBody(contentLength: 4) { _ in throw HTTPError(.badGateway, message: "gone") }
            )
        }
        self.expectReplay(try await self.sendTwice(app, to: "/group"), .badGateway)
    }
}
