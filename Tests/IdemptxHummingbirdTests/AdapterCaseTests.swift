import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import TestSupport
import Testing

@Suite("The adapter, seen from the wire")
struct AdapterCaseTests {
    @Test("does what every adapter has to do", arguments: AdapterCase.allCases)
    func conforms(_ adapterCase: AdapterCase) async throws {
        let script = AdapterScript()
        let policy = IdempotencyPolicy {
            $0.maxRequestBody = 1_000
            $0.maxResponseBody = 1_000
        }
        let router = Router()
        router.post(
            "**",
            use: idempotent(store: MemoryStore(), policy: policy) { request, _ -> Response in
                let reply = try await script.run(request.uri.path)
                var headers = HTTPFields()
                for (name, value) in reply.fields { headers.append(HTTPField(name: try .named(name), value: value)) }
                let body =
                    reply.pieces.map { pieces in
                        ResponseBody { writer in
                            for piece in pieces { try await writer.write(ByteBuffer(bytes: piece)) }
                            try await writer.finish(nil)
                        }
                    } ?? ResponseBody(byteBuffer: ByteBuffer(bytes: reply.body))
                return Response(status: .init(code: reply.status), headers: headers, body: body)
            })
        try await Application(router: router).test(.ahc()) { client in
            try await adapterCase.play(port: #require(client.port), script: script)
        }
    }
}
