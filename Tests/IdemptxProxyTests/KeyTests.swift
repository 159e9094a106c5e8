import HTTPTestSupport
import HTTPTypes
import Idemptx
import IdemptxProxy
import InMemoryLogging
import Logging
import TestSupport
import Testing

@Suite("The key of a request")
struct KeyTests {
    @Test(
        "is refused if an intermediary has joined two, even if they are equal",
        arguments: ["id, id", "id,id", "\"id\", \"id\"", "id, "], [true, false])
    func joined(_ key: String, isRequired: Bool) async throws {
        try await TestProxy.with(configure: Change { $0.rules.standard.required = isRequired }) { proxy async throws in
            let refused = try await proxy.pay(key)
            #expect(refused.status == 400)
            #expect(try refused.problem == "key-invalid")
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test(
        "is missing if it cannot be in a body of that media type, and one has to be there",
        arguments: ["text/plain", "application/x-www-form-urlencoded", nil])
    func noPlace(_ mediaType: String?) async throws {
        let pointer = try JSONPointer("/id")
        let configure = Change {
            $0.rules.standard.keySource = .json(pointer)
            $0.rules.standard.required = true
        }
        try await TestProxy.with(configure: configure) { proxy async throws in
            let fields = mediaType.map { ["Content-Type: \($0)"] } ?? []
            let refused = try await proxy.send("POST /", fields, body: #"{"id":"k-1"}"#)
            #expect(refused.status == 400)
            #expect(refused.text.contains(#""reason":"unsupported_media_type""#))
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test("that cannot be there and need not be lets requests pass, and the log says so once for each route")
    func noPlaceAndNotRequired() async throws {
        let log = InMemoryLogHandler()
        var logger = Logger(label: "test") { _ in log }
        logger.logLevel = .warning
        // The log of a process has each route once; no other test has these.
        let rules = try ["/key-tests/a", "/key-tests/b"].map { path in
            RouteRule(
                path: try PathPattern(path),
                policy: try IdempotencyPolicy { policy in policy.required = false }.with(.json(JSONPointer("/id"))))
        }
        try await TestProxy.with(logger: logger, configure: Change { $0.rules.routes = rules }) { proxy async throws in
            for path in ["/key-tests/a", "/key-tests/b", "/key-tests/a", "/key-tests/b"] {
                #expect(try await proxy.send("POST \(path)", ["Content-Type: text/plain"], body: "x").status == 200)
            }
            #expect(proxy.upstream.requests.count == 4)
        }
        let routes = log.entries.compactMap { $0.metadata["idempotency.route"].map { "\($0)" } }
        #expect(routes == ["/key-tests/a", "/key-tests/b"])
    }

    @Test("of a caller whose name is no UTF-8 is refused, and meets no other", arguments: [0xFC, 0xF6] as [UInt8])
    func nameIsNoUTF8(_ byte: UInt8) async throws {
        let tenant = try #require(HTTPField.Name("X-Tenant"))
        try await TestProxy.with(configure: Change { $0.scopeHeaders = [tenant] }) { proxy async throws in
            for name in ["X-Tenant", "Cookie"] {
                try await RawConnection.open(port: proxy.port) { connection in
                    let lines = ["POST / HTTP/1.1", "Host: a", "Idempotency-Key: k-1", "Content-Length: 0"]
                    let start: [UInt8] = .message(lines).dropLast(2)
                    try await connection.write(
                        start + Array("\(name): M".utf8) + [byte] + Array("ller\r\n\r\n".utf8))
                    #expect(try await connection.readResponse().status == 400)
                }
            }
            #expect(proxy.upstream.connections == 0)
        }
    }
}

extension IdempotencyPolicy {
    fileprivate func with(_ keySource: KeySource) -> IdempotencyPolicy {
        var policy = self
        policy.keySource = keySource
        return policy
    }
}
