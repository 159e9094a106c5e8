import HTTPProxy
import HTTPTestSupport
import TestSupport
import Testing

@Suite("An interim response")
struct InterimResponseTests {
    @Test("goes on to the client, without the fields of its connection")
    func interim() async throws {
        let script = TestUpstream.responding { _ in
            .message(["HTTP/1.1 103 Early Hints", "Link: </a>; rel=preload", "Connection: X-Hop", "X-Hop: 1"])
                + .message(["HTTP/1.1 102 Processing"]) + .response(body: "done")
        }
        try await TestProxy.with(script: script) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                let hints = try await connection.readResponse()
                #expect(hints.status == 103)
                #expect(hints.fields == ["Link: </a>; rel=preload"])
                #expect(try await connection.readResponse().start == "HTTP/1.1 102 Processing")
                #expect(try await connection.readResponse().text == "done")
            }
        }
    }

    @Test("goes on to the client, however many there are")
    func manyInterim() async throws {
        let script = TestUpstream.responding { _ in
            (1...50).flatMap { [UInt8].message(["HTTP/1.1 103 Early Hints", "X-Number: \($0)"]) }
                + .response(body: "done")
        }
        try await TestProxy.with(script: script) { proxy async throws in
            for key in ["", "Idempotency-Key: k-1\r\n"] {
                try await RawConnection.open(port: proxy.port) { connection in
                    try await connection.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\(key)\r\n")
                    for number in 1...50 {
                        let hint = try await connection.readResponse()
                        #expect(hint.status == 103)
                        #expect(hint["X-Number"] == ["\(number)"])
                    }
                    #expect(try await connection.readResponse().text == "done")
                }
            }
        }
    }

    @Test("that the client waits for, `100 Continue`, comes from the upstream")
    func expectContinue() async throws {
        let gate = Gate()
        let script: TestUpstream.Script = { connection, upstream in
            var request = try #require(try await connection.readHead())
            #expect(request["Expect"] == ["100-continue"])
            await gate.pass()
            try await connection.write(.message(["HTTP/1.1 100 Continue"]))
            try await connection.readBody(of: &request)
            upstream.record(request)
            try await connection.write(.response(body: "thanks"))
        }
        try await TestProxy.with(script: script) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(
                    .message(["PUT / HTTP/1.1", "Host: a", "Content-Length: 3", "Expect: 100-continue"]))
                try await eventually { gate.arrivals == 1 }
                #expect(connection.received.isEmpty)
                gate.open()
                #expect(try await connection.readResponse().status == 100)
                try await connection.write("abc")
                #expect(try await connection.readResponse().text == "thanks")
            }
            #expect(proxy.upstream.request?.text == "abc")
        }
    }

    @Test("that the client waits for does not come if the upstream refuses the request; the connection ends")
    func expectationFailed() async throws {
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readHead()))
            try await connection.write(.response("417 Expectation Failed", body: "no"))
            try await connection.readToEnd()
        }
        try await TestProxy.with(script: script) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(
                    .message(["PUT / HTTP/1.1", "Host: a", "Content-Length: 3", "Expect: 100-continue"]))
                let response = try await connection.readResponse()
                #expect(response.start == "HTTP/1.1 417 Expectation Failed")
                #expect(response["Connection"] == ["close"])
                try await connection.readToEnd()
            }
        }
    }
}
