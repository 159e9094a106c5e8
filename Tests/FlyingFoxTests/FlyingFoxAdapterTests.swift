import FlyingFox
import FlyingSocks
import Foundation
import HTTPTypes
import Idemptx
import TestSupport
import Testing

@Suite("An adapter for another framework")
struct FlyingFoxAdapterTests {
    /// FlyingFox keeps only the last of several header lines of one name, before an adapter sees them.
    private static let cases = AdapterCase.allCases.filter { $0 != .refusesRepeatedKeys }

    @Test("does what that for Hummingbird does", arguments: Self.cases)
    func conforms(_ adapterCase: AdapterCase) async throws {
        let script = AdapterScript()
        let policy = IdempotencyPolicy {
            $0.maxRequestBody = 1_000
            $0.maxResponseBody = 1_000
        }
        let handler = IdempotentHandler(idempotency: Idempotency(store: MemoryStore(), policy: policy)) { request in
            _ = try await request.bodyData
            let reply = try await script.run(request.path)
            var headers = HTTPHeaders()
            for (name, value) in reply.fields { headers.addValue(value, for: HTTPHeader(name)) }
            let status = HTTPStatusCode(reply.status, phrase: "")
            guard let pieces = reply.pieces else {
                return .init(statusCode: status, headers: headers, body: Data(reply.body))
            }
            let stream = ByteStream { write in
                for piece in pieces { try await write(piece) }
                return nil
            }
            return .init(statusCode: status, headers: headers, body: HTTPBodySequence(from: stream))
        }
        let server = HTTPServer(address: try .inet(ip4: "127.0.0.1", port: 0), handler: handler)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            try await server.waitUntilListening()
            guard let address = await server.listeningAddress, case .ip4(_, port: let port) = address else {
                Issue.record("The server has no port")
                return group.cancelAll()
            }
            try await adapterCase.play(port: Int(port), script: script)
            await server.stop()
            group.cancelAll()
        }
    }
}
