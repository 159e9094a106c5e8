import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import IdemptxTesting
import TestSupport
import Testing

/// A context with a place for the attempt.
struct AttemptContext: IdempotencyRequestContext {
    var coreContext: CoreRequestContextStorage
    var idempotency: IdempotencyContext?

    init(source: Source) {
        self.coreContext = .init(source: source)
    }
}

@Suite("What a handler knows of its attempt")
struct AttemptContextTests {
    private typealias Handler = @Sendable (IdempotencyContext?) async throws -> String

    private func app(_ handler: @escaping Handler) -> some ApplicationProtocol {
        let router = Router(context: AttemptContext.self)
        router.group("group").add(middleware: IdempotencyMiddleware(store: MemoryStore()))
            .post { _, context in try await handler(context.idempotency) }
            .get { _, context in try await handler(context.idempotency) }
        router.post(
            "single", use: idempotent(store: MemoryStore()) { _, context in try await handler(context.idempotency) })
        router.post("task", use: idempotent(store: MemoryStore()) { _, _ in try await handler(.current) })
        return Application(router: router)
    }

    static let paths = ["/group", "/single", "/task"]

    @Test("is its key and its number, in the request context or the task", arguments: paths)
    func attempt(path: String) async throws {
        try await self.app { "\($0?.key ?? "") \($0?.attempt ?? 0) \($0?.isLeaseHeld ?? false)" }
            .test(.live) { client in
                let response = try await client.execute(uri: path, idempotencyKey: #""k 1""#)
                #expect(response.text == "k 1 1 true")
            }
    }

    @Test("is nothing if the request is not guarded")
    func unguarded() async throws {
        try await self.app { "\($0 == nil)" }.test(.router) { client in
            let response = try await client.execute(uri: "/group", method: .get)
            #expect(response.text == "true")
        }
    }

    @Test("lets it free its key whatever its response", arguments: paths)
    func release(path: String) async throws {
        let ledger = Ledger()
        try await self.app { attempt in
            attempt?.release()
            return "\(ledger.add())"
        }.test(.router) { client in
            for entry in ["1", "2"] {
                let response = try await client.execute(uri: path, idempotencyKey: "k-1")
                #expect(response.text == entry)
            }
        }
    }

    @Test("lets it keep a response that the policy would not", arguments: paths)
    func keep(path: String) async throws {
        let ledger = Ledger()
        try await self.app { attempt in
            attempt?.keep()
            throw HTTPError(.serviceUnavailable, message: "\(ledger.add())")
        }.test(.router) { client in
            let first = try await client.execute(uri: path, idempotencyKey: "k-1")
            let again = try await client.execute(uri: path, idempotencyKey: "k-1")
            #expect(again.status == .serviceUnavailable)
            #expect(again.repeatable == first.repeatable)
            #expect(again.isReplay)
        }
        #expect(ledger.count == 1)
    }

    @Test("lets it keep a secret out of the store", arguments: paths)
    func tombstone(path: String) async throws {
        try await self.app { attempt in
            attempt?.tombstone()
            return "a secret"
        }.test(.router) { client in
            let first = try await client.execute(uri: path, idempotencyKey: "k-1")
            #expect(first.text == "a secret")
            let again = try await client.execute(uri: path, idempotencyKey: "k-1")
            #expect(try again.problemKind == .responseNotReplayable)
        }
    }
}
