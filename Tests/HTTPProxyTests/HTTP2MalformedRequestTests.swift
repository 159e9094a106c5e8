import HTTPProxy
import HTTPTestSupport
import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOSSL
import RedisServerTesting
import TestSupport
import Testing

@Suite("A malformed request over HTTP/2")
struct HTTP2MalformedRequestTests {
    @Test("has a method in another case, which is another method", arguments: ["post", "Post", "get"])
    func caseOfMethod(_ method: String) async throws {
        try await SecureTests.with { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                #expect(try await client.send(.head(method, "/")).status == "501")
                #expect(try await client.send(.head(method, "/", [("idempotency-key", "k")])).status == "501")
            }
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test(
        "has a field that is no UTF-8: two of them could be one", arguments: ["x-tenant", "cookie"],
        [0xFC, 0xF6] as [UInt8])
    func noUTF8(_ name: String, _ byte: UInt8) async throws {
        try await SecureTests.with { proxy, certificates in
            let tls = try SecureTests.client(certificates.authority, protocols: ["h2"])
            try await RawConnection.open(port: proxy.port) { channel in
                try channel.pipeline.syncOperations.addHandler(
                    NIOSSLClientHandler(context: tls, serverHostname: "localhost"))
            } _: { connection async throws in
                let value = Array("M".utf8) + [byte] + Array("ller".utf8)
                let key = Array("idempotency-key".utf8)
                // GET, https, /, `:authority: a`, then literal fields (RFC 7541, section 6.2.2).
                let block: [UInt8] =
                    [0x82, 0x87, 0x84, 0x01, 1, UInt8(ascii: "a"), 0, UInt8(key.count)] + key + [1, UInt8(ascii: "k")]
                    + [0, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.count)] + value
                try await connection.write(
                    Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + Self.frame(type: 4, flags: 0, stream: 0, [])
                        + Self.frame(type: 1, flags: 5, stream: 1, block))
                var head: [UInt8]?
                while head == nil, let (type, payload) = try await Self.readFrame(connection) {
                    if type == 1 { head = payload }
                }
                // `:status: 400` of the static table.
                #expect(head?.first == 0x8C)
            }
            #expect(proxy.upstream.connections == 0)
        }
    }

    @Test("is refused alone, and the others go on")
    func head() async throws {
        let start = [(":method", "GET"), (":scheme", "https"), (":authority", "api.test"), (":path", "/")]
        try await SecureTests.with { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                let malformed: [[(String, String)]] = [
                    start + [("X-Upper", "1")], start + [("transfer-encoding", "chunked")],
                    start + [("connection", "close")], start + [(":path", "/b")],
                    start + [("x-a", "1"), (":late", "1")],
                    start + [("x-a", "a\u{0}b")], start + [("x-a", "a\nb")], start + [("x a", "b")],
                    start + [("x-a", " b")], start + [("x-a", "b\t")], start + [("te", "gzip")],
                    start.filter { $0.0 != ":scheme" },
                ]
                for head in malformed { #expect(try await client.send(head).status == "400", "\(head)") }
                #expect(try await client.send(.head("GET", "/")).status == "200")
            }
            #expect(proxy.upstream.requests.count == 1)
        }
    }

    @Test(
        "has malformed trailers, and is refused before the upstream takes it for complete",
        arguments: [true, false])
    func trailers(isHandled: Bool) async throws {
        let smuggled = "1\r\n\r\nPOST /payments HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        let malformed: [[(String, String)]] = [
            [("x", smuggled)], [("x: 1\r\n\r\nGET /other HTTP/1.1\r\nx", "1")], [("X-Upper", "1")],
            [(":path", "/other")], [("x-a", "a\u{0}b")],
        ]
        let script: TestUpstream.Script = { connection, upstream in
            // The whole of it, or nothing.
            guard let message = try? await connection.readMessage() else { return }
            upstream.record(message)
            try await connection.write(.response())
        }
        try await SecureTests.with(script: script) { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                let fields = isHandled ? [("idempotency-key", "k")] : []
                for trailers in malformed {
                    let response = try await client.send(.head("POST", "/", fields), body: "abc", trailers: trailers)
                    #expect(response.status == "400", "\(trailers)")
                }
                #expect(proxy.upstream.requests.isEmpty)
                let response = try await client.send(
                    .head("POST", "/", fields), body: "abc",
                    trailers: [("x-sum", "7"), ("content-length", "9"), ("via", "other"), ("authorization", "b")])
                #expect(response.status == "200")
            }
            #expect(proxy.upstream.requests.map(\.trailers) == [["x-sum: 7"]])
        }
    }

    private static func frame(type: UInt8, flags: UInt8, stream: UInt8, _ payload: [UInt8]) -> [UInt8] {
        [0, 0, UInt8(payload.count), type, flags, 0, 0, 0, stream] + payload
    }

    private static func readFrame(_ connection: RawConnection) async throws -> (type: UInt8, payload: [UInt8])? {
        let frame = try await connection.take { bytes in
            let head = Array(bytes.prefix(9))
            guard head.count == 9 else { return nil }
            let size = 9 + Int(head[0]) << 16 + Int(head[1]) << 8 + Int(head[2])
            return bytes.count >= size ? size : nil
        }
        return frame.map { ($0[3], Array($0.dropFirst(9))) }
    }
}
