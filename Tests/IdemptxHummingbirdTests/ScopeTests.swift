import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import IdemptxTesting
import TestSupport
import Testing

@Suite("Whose key it is")
struct ScopeTests {
    private let ledger = Ledger()

    private func app(_ scope: IdempotencyScope<BasicRequestContext>) -> some ApplicationProtocol {
        let ledger = self.ledger
        let router = Router()
        router.post(
            "charges",
            use: idempotent(store: MemoryStore(), scope: scope) { _, _ in
                "\(ledger.add())"
            })
        return Application(router: router)
    }

    /// The responses to requests with one key and these credentials.
    private func responses(
        _ scope: IdempotencyScope<BasicRequestContext>, _ credentials: [String?]
    ) async throws -> [String] {
        try await self.app(scope).test(.router) { client in
            var responses: [String] = []
            for credential in credentials {
                var headers = HTTPFields()
                headers[.authorization] = credential
                responses.append(
                    try await client.execute(uri: "/charges", headers: headers, idempotencyKey: "k-1").text)
            }
            return responses
        }
    }

    @Test(
        "cannot be told from a cookie or a signature, so that nothing runs",
        arguments: [
            ["Cookie": "session=1"], ["Authorization": "AWS4-HMAC-SHA256 Credential=a, Signature=b"],
        ])
    func unknownScope(fields: [String: String]) async throws {
        try await self.app(.credentials).test(.router) { client in
            var headers = HTTPFields()
            for (name, value) in fields { headers[try .named(name)] = value }
            let response = try await client.execute(uri: "/charges", headers: headers, idempotencyKey: "k-1")
            #expect(response.status == .internalServerError)
            #expect(try response.problemKind == .scopeUnknown)
        }
        #expect(self.ledger.count == 0)
    }

    @Test("depends on the API key where there is no Authorization")
    func apiKey() async throws {
        try await self.app(.credentials).test(.router) { client in
            var responses: [String] = []
            for key in ["a", "b", nil, "a"] {
                var headers = HTTPFields()
                headers[try .named("X-API-Key")] = key
                responses.append(
                    try await client.execute(uri: "/charges", headers: headers, idempotencyKey: "k-1").text)
            }
            #expect(responses == ["1", "2", "3", "1"])
        }
    }

    @Test("depends on the credentials by default")
    func credentials() async throws {
        let responses = try await self.responses(
            .credentials, ["Bearer a", "Bearer b", nil, "Bearer a", nil, "Bearer b"])
        #expect(responses == ["1", "2", "3", "1", "3", "2"])
    }

    @Test("depends on the principal, whatever its credentials")
    func principal() async throws {
        let source = IdempotencyScope<BasicRequestContext>.principal { request, _ in
            String(request.headers[.authorization]?.prefix(1) ?? "")
        }
        #expect(try await self.responses(source, ["a1", "b1", "a2", "b2"]) == ["1", "2", "1", "2"])
    }

    @Test("depends on the subject of a token, through its renewals")
    func jwtSubject() async throws {
        // {"sub":"ann","iss":"a"}, {"sub":"ann","iss":"a","exp":9}, {"sub":"bob","iss":"a"}
        let tokens = [
            "Bearer e30.eyJzdWIiOiJhbm4iLCJpc3MiOiJhIn0.x",
            "Bearer e30.eyJzdWIiOiJhbm4iLCJpc3MiOiJhIiwiZXhwIjo5fQ.y",
            "Bearer e30.eyJzdWIiOiJib2IiLCJpc3MiOiJhIn0.z",
        ]
        #expect(try await self.responses(.jwtSubject, tokens) == ["1", "1", "2"])
    }

    @Test("does not matter if that is spelled out")
    func unscoped() async throws {
        #expect(try await self.responses(.unscoped, ["Bearer a", nil, "Bearer b"]) == ["1", "1", "1"])
    }

    @Test("has to be known, or nothing runs")
    func unknown() async throws {
        let source = IdempotencyScope<BasicRequestContext>.principal { _, _ in throw HTTPError(.unauthorized) }
        try await self.app(source).test(.router) { client in
            let response = try await client.execute(uri: "/charges", idempotencyKey: "k-1")
            #expect(response.status == .unauthorized)
        }
        #expect(self.ledger.count == 0)
    }
}
