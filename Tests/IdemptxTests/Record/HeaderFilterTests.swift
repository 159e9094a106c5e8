import HTTPTypes
import Idemptx
import Testing

@Suite("Which header fields a replay repeats")
struct HeaderFilterTests {
    private func fields(_ lines: [(String, String)]) throws -> HTTPFields {
        try lines.reduce(into: HTTPFields()) { fields, line in
            fields.append(HTTPField(name: try #require(HTTPField.Name(line.0)), value: line.1))
        }
    }

    private func kept(_ lines: [(String, String)], by filter: HeaderFilter = HeaderFilter()) throws -> [String] {
        filter.kept(try self.fields(lines)).map { "\($0.name.rawName): \($0.value)" }
    }

    @Test("What describes the result is kept, in its order")
    func kept() throws {
        let lines = [
            ("Content-Type", "application/json"), ("Location", "/charges/1"), ("Link", "a"), ("ETag", "\"1\""),
            ("Link", "b"), ("Cache-Control", "no-cache"), ("X-Custom", "1"), ("Content-Encoding", "gzip"),
        ]
        #expect(try self.kept(lines) == lines.map { "\($0.0): \($0.1)" })
    }

    @Test(
        "What belongs to the exchange is dropped",
        arguments: [
            "Connection", "Keep-Alive", "TE", "Transfer-Encoding", "Upgrade", "Trailer", "Content-Length", "Date",
            "Age",
            "Set-Cookie", "Server", "Via", "Alt-Svc", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
            "Proxy-Status", "RateLimit", "RateLimit-Policy", "X-RateLimit-Remaining", "Retry-After", "Server-Timing",
            "traceparent", "tracestate", "X-Request-ID", "X-Correlation-Id",
        ])
    func dropped(name: String) throws {
        #expect(try self.kept([(name, "x"), ("X-Kept", "1")]) == ["X-Kept: 1"])
    }

    @Test("The fields that Connection names are dropped")
    func nominated() throws {
        let lines = [
            ("Connection", "close, X-Hop"), ("X-Hop", "1"), ("Connection", " x-other"), ("X-Other", "2"), ("A", "3"),
        ]
        #expect(try self.kept(lines) == ["A: 3"])
    }

    @Test("Both lists can be changed, but no list keeps what belongs to a connection")
    func lists() throws {
        let lines = [
            ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-A", "1"), ("Date", "now"), ("Connection", "close"),
        ]
        var filter = HeaderFilter(dropped: [])
        #expect(try self.kept(lines, by: filter) == ["Set-Cookie: a=1", "Set-Cookie: b=2", "X-A: 1"])
        filter.allowed = [.setCookie, .date]
        #expect(try self.kept(lines, by: filter) == ["Set-Cookie: a=1", "Set-Cookie: b=2"])
        filter.dropped = [.setCookie]
        #expect(try self.kept(lines, by: filter).isEmpty)
    }
}
