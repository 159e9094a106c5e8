import HTTPProxy
import HTTPTestSupport
import TestSupport
import Testing

@Suite("What a request over HTTP/2 says of its host and scheme")
struct HTTP2HostTests {
    @Test("over HTTP/2 has one host, whatever the fields say")
    func http2Host() async throws {
        try await SecureTests.with { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                #expect(try await client.send(.head("GET", "/", [("host", "API.test")])).status == "200")
                #expect(proxy.upstream.requests.first?["Host"] == ["api.test"])
                for hosts in [["evil.test"], ["api.test", "api.test"], ["api.test:1"], [""]] {
                    let fields = hosts.map { ("host", $0) }
                    #expect(try await client.send(.head("GET", "/", fields)).status != "200")
                }
                let empty = [(":method", "GET"), (":scheme", "https"), (":authority", ""), (":path", "/")]
                #expect(try await client.send(empty).status != "200")
                let odd: [(String, String)] = [
                    (":method", "GET"), (":scheme", "https"), (":authority", "a/b"), (":path", "/"),
                ]
                #expect(try await client.send(odd).status != "200")
                #expect(try await client.send(.head("GET", "/a b")).status != "200")
                #expect(try await client.send(.head("GET", "/a\nb")).status != "200")
                #expect(try await client.send(.head("GET", "a")).status != "200")
                #expect(try await client.send(.head("GET", "*")).status != "200")
                let two = [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", "a"), ("host", "b")]
                #expect(try await client.send(two).status != "200")
                let none = [(":method", "GET"), (":scheme", "https"), (":path", "/")]
                #expect(try await client.send(none).status != "200")
                let many = (1...257).map { ("x-\($0)", "1") }
                #expect(try await client.send(.head("GET", "/", many)).status == "431")
            }
            #expect(proxy.upstream.requests.count == 1)
            #expect(proxy.handler.records.allSatisfy { $0.target?.utf8.contains(0x0A) != true }, "Two lines of a log")
        }
    }

    @Test("over HTTP/2 is HTTPS, whatever the client says")
    func http2Scheme() async throws {
        try await SecureTests.with { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                for scheme in ["http", #"https;for=6.6.6.6;by="x"#] {
                    let head = [(":method", "GET"), (":scheme", scheme), (":authority", "api.test"), (":path", "/")]
                    #expect(try await client.send(head).status == "200")
                }
            }
            for request in proxy.upstream.requests {
                #expect(request["X-Forwarded-Proto"] == ["https"])
                #expect(request["Forwarded"] == ["for=127.0.0.1;host=api.test;proto=https"])
            }
        }
    }
}
