import HTTPTestSupport
import NIOCore
import TestSupport
import Testing

@Suite("Streams")
struct StreamingTests {
    @Test("begin at the client before they end at the upstream", arguments: [true, false])
    func serverSentEvents(isHandled: Bool) async throws {
        let gate = Gate()
        let script: TestUpstream.Script = { connection, upstream in
            upstream.record(try #require(try await connection.readMessage()))
            try await connection.write(
                .message(["HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked"])
                    + .chunks(Array("data: 1\n\n".utf8), of: 100))
            await gate.pass()
            try await connection.write(.chunks(Array("data: 2\n\n".utf8), of: 100) + .message(["0"]))
        }
        try await TestProxy.with(script: script, handle: TestHandler.streaming) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                if isHandled {
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

    @Test("begin at the client before they end, also if their length is known")
    func download() async throws {
        let gate = Gate()
        let script: TestUpstream.Script = { connection, _ in
            _ = try await connection.readMessage()
            try await connection.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
            await gate.pass()
            try await connection.write("def")
        }
        try await TestProxy.with(script: script) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(try await connection.read(until: "abc").contains("Content-Length: 6"))
                gate.open()
                #expect(try await connection.read(until: "abcdef").hasSuffix("abcdef"))
            }
        }
    }

    @Test(
        "begin at the upstream before they end at the client",
        arguments: ["Content-Length: 6", "Transfer-Encoding: chunked"])
    func upload(framing: String) async throws {
        let (isChunked, gate) = (framing.hasPrefix("T"), Gate())
        let script: TestUpstream.Script = { connection, upstream in
            var request = try #require(try await connection.readHead())
            _ = try await connection.read(until: "abc")
            await gate.pass()
            try await connection.readBody(of: &request)
            upstream.record(request)
            try await connection.write(.response(body: "thanks"))
        }
        try await TestProxy.with(script: script) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("PUT / HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n")
                try await connection.write(isChunked ? "3\r\nabc\r\n" : "abc")
                try await eventually { gate.arrivals == 1 }
                gate.open()
                try await connection.write(isChunked ? "3\r\ndef\r\n0\r\n\r\n" : "def")
                #expect(try await connection.readResponse().text == "thanks")
            }
            #expect(proxy.upstream.request?.text == "abcdef")
        }
    }

    @Test("go both ways at the same time")
    func echo() async throws {
        let script: TestUpstream.Script = { connection, _ in
            _ = try await connection.readHead()
            try await connection.write(.message(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"]))
            while let chunk = try await connection.readChunk() { try await connection.write(.chunks(chunk, of: 1_000)) }
            try await connection.write(.message(["0"]))
        }
        try await TestProxy.with(script: script) { proxy async throws in
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                for number in 1...10 {
                    try await connection.write(.chunks(Array("<\(number)>".utf8), of: 1_000))
                    #expect(try await connection.read(until: "<\(number)>").contains("<\(number)>"))
                }
                try await connection.write("0\r\n\r\n")
                #expect(try await connection.read(until: "\r\n0\r\n\r\n").hasSuffix("0\r\n\r\n"))
            }
        }
    }

    @Test("come once and in their order, whatever the size of their pieces")
    func pieces() async throws {
        let sizes = [10, 100_000, 5, 70_000, 9_000, 1, 200_000, 8_192, 8_193, 3]
        let pieces = sizes.enumerated().map { number, size in
            (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ number) }
        }
        let script: TestUpstream.Script = { connection, upstream in
            var request = try #require(try await connection.readHead())
            try await connection.readBody(of: &request)
            upstream.record(request)
            try await connection.write(.message(["HTTP/1.1 200 OK", "Content-Length: \(sizes.reduce(0, +))"]))
            for piece in pieces {
                try await connection.write(piece)
                try await Task.sleep(for: .milliseconds(2))
            }
        }
        try await TestProxy.with(script: script) { proxy async throws in
            let response = try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write(
                    .message(["PUT / HTTP/1.1", "Host: a", "Content-Length: \(sizes.reduce(0, +))"]))
                for piece in pieces {
                    try await connection.write(piece)
                    try await Task.sleep(for: .milliseconds(2))
                }
                return try await connection.readResponse()
            }
            #expect(proxy.upstream.request?.body == pieces.flatMap { $0 })
            #expect(response.body == pieces.flatMap { $0 })
        }
    }

    @Test("do not pile up in front of a client that takes nothing")
    func stalledReader() async throws {
        let (written, size) = (Ledger(), 64 * 1024)
        let script: TestUpstream.Script = { connection, _ in
            _ = try await connection.readMessage()
            try await connection.write("HTTP/1.1 200 OK\r\nContent-Length: \(size * 16_384)\r\n\r\n")
            for _ in 0..<16_384 {
                try await connection.write([UInt8](repeating: 7, count: size))
                written.add()
            }
        }
        try await TestProxy.with(script: script) { proxy async throws in
            try await proxy.openWithoutReading { channel in
                try await channel.writeAndFlush(ByteBuffer(string: "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
                let amount = try await Self.settled { written.count * size }
                // What fits into the sockets' buffers, and what the event loop of a busy machine is late by, of a gibibyte.
                #expect(amount > 0)
                #expect(amount < 512 << 20)
            }
            try await eventually("The upstream is told") { proxy.upstream.closedConnections == 1 }
        }
    }

    @Test("do not pile up in front of an upstream that takes nothing")
    func stalledUpstream() async throws {
        let gate = Gate()
        let script: TestUpstream.Script = { connection, _ in
            // Its channel reads a little ahead, and no more.
            await gate.pass()
            _ = connection
        }
        try await TestProxy.with(script: script) { proxy async throws in
            let (written, size) = (Ledger(), 64 * 1024)
            try await RawConnection.open(port: proxy.port) { connection in
                try await connection.write("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: \(size * 16_384)\r\n\r\n")
                let channel = connection.channel
                let upload = Task {
                    for _ in 0..<16_384 {
                        try await channel.writeAndFlush(ByteBuffer(repeating: 7, count: size))
                        written.add()
                    }
                }
                try await eventually { gate.arrivals == 1 }
                let amount = try await Self.settled { written.count * size }
                #expect(amount > 0)
                #expect(amount < 512 << 20)
                upload.cancel()
                gate.open()
                try? await channel.close()
                _ = await upload.result
            }
        }
    }

    /// Waits until a number no longer changes.
    static func settled(_ number: () -> Int) async throws -> Int {
        var (last, same) = (-1, 0)
        try await eventually("Nothing more moves") {
            let now = number()
            same = now == last && now > 0 ? same + 1 : 0
            last = now
            return same == 100
        }
        return last
    }
}
