import HTTPTestSupport
import IdemptxProxy
import NIOCore
import TestSupport
import Testing

@Suite("Streams")
struct StreamingTests {
    @Test("begin at the client before they end at the upstream", arguments: [true, false])
    func serverSentEvents(isGuarded: Bool) async throws {
        let gate = Gate()
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            try await connection.write(
                .message(["HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked"])
                    + .chunks(Array("data: 1\n\n".utf8), of: 100))
            await gate.pass()
            try await connection.write(.chunks(Array("data: 2\n\n".utf8), of: 100) + .message(["0"]))
        }
        try await TestProxy.with(script: script) { proxy in
            try await RawConnection.open(port: proxy.port) { connection in
                if isGuarded {
                    try await connection.post("/", host: "api.test", key: "k-1", body: "x")
                } else {
                    try await connection.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                }
                let start = try await connection.read(until: "data: 1")
                #expect(start.contains("Content-Type: text/event-stream"))
                gate.open()
                #expect(try await connection.read(until: "0\r\n\r\n").contains("data: 2"))
            }
        }
    }
}
