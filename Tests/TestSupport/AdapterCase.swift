import Testing

/// What every adapter has to get right, seen from the wire.
///
/// The server under test guards `POST` with keys of at most 1,000 bytes of body in either direction, and its routes do what
/// ``AdapterScript`` says.
package enum AdapterCase: String, Sendable, CaseIterable {
    case replaysByteByByte
    case replaysWithoutBody
    case replaysErrors
    case replaysStreams
    case freesTheKey
    case leavesTombstones
    case refusesOtherRequests
    case refusesMissingKeys
    case refusesRepeatedKeys
    case refusesLargeBodies
    case tellsWhatIsInProgress
    case keepsRunningForNobody

    /// Plays the case against a server.
    ///
    /// - Parameters:
    ///   - port: The port it listens on.
    ///   - script: What its routes do.
    /// - Throws: What the connection throws, and what never came true.
    package func play(port: Int, script: AdapterScript) async throws {
        func send(
            _ path: String, key: String? = "k-1", body: String = "5", _ fields: [String] = []
        ) async throws
            -> WireResponse
        {
            try await WireResponse(
                of: "POST \(path)", key.map { ["Idempotency-Key: \($0)"] + fields } ?? fields, body: body, port: port)
        }
        switch self {
        case .replaysByteByByte, .replaysWithoutBody, .replaysErrors, .replaysStreams:
            let (path, status) = self.replayed
            let first = try await send(path)
            #expect(first.status == status)
            #expect(first["X-Idempotency-Status"] == ["new"])
            let again = try await send(path)
            #expect(again.status == status)
            #expect(again["X-Idempotency-Status"] == ["hit"])
            #expect(again["Idempotent-Replayed"] == ["true"])
            #expect(again.body == first.body)
            for name in ["Location", "Content-Type", "X-Note"] { #expect(again[name] == first[name], "\(name)") }
            #expect(script.ledger.count == 1)
        case .freesTheKey:
            #expect(try await send("/busy").status == 429)
            #expect(try await send("/busy").status == 201)
        case .leavesTombstones:
            #expect(try await send("/large").body.count == 2_000)
            let again = try await send("/large")
            #expect(again.status == 409)
            #expect(again.text.contains("response-not-replayable"))
            #expect(script.ledger.count == 1)
        case .refusesOtherRequests:
            _ = try await send("/charges")
            for (path, body) in [("/charges", "6"), ("/charges?a=b", "5")] {
                let other = try await send(path, body: body)
                #expect(other.status == 422)
                #expect(other.text.contains("key-reused"))
            }
        case .refusesMissingKeys: #expect(try await send("/charges", key: nil).text.contains("key-missing"))
        case .refusesRepeatedKeys:
            let refused = try await send("/charges", ["Idempotency-Key: k-1"])
            #expect(refused.status == 400)
            #expect(script.ledger.count == 0)
        case .refusesLargeBodies:
            let refused = try await send("/charges", body: String(repeating: "5", count: 1_001))
            #expect(refused.status == 413)
            #expect(script.ledger.count == 0)
        case .tellsWhatIsInProgress:
            async let first = send("/slow")
            try await eventually { script.gate.arrivals == 1 }
            let second = try await send("/slow")
            #expect(second.status == 409)
            #expect(second["Retry-After"].count == 1)
            script.gate.open()
            #expect(try await first.status == 201)
            #expect(script.ledger.count == 1)
        case .keepsRunningForNobody:
            try await RawConnection.open(port: port) { connection in
                try await connection.write(WireResponse.request("POST /slow", ["Idempotency-Key: k-1"], body: "5"))
                try await eventually { script.gate.arrivals == 1 }
            }
            script.gate.open()
            try await eventually { try await send("/slow")["Idempotent-Replayed"] == ["true"] }
            #expect(script.ledger.count == 1)
        }
    }

    private var replayed: (path: String, status: Int) {
        switch self {
        case .replaysWithoutBody: ("/empty", 204)
        case .replaysErrors: ("/fails", 500)
        case .replaysStreams: ("/stream", 200)
        default: ("/charges", 201)
        }
    }
}

/// What the routes of a server under test do, whatever the framework.
package struct AdapterScript: Sendable {
    /// What a route returns.
    package struct Reply: Sendable {
        package var status = 201
        package var fields: [(name: String, value: String)] = []
        package var body: [UInt8] = []
        /// The body has no length, and comes in these pieces.
        package var pieces: [[UInt8]]?
    }

    package struct Failure: Error {}

    package let ledger = Ledger()
    package let gate = Gate()

    package init() {}

    /// Runs the route at `path`.
    package func run(_ path: String) async throws -> Reply {
        let entry = self.ledger.add()
        switch path {
        case "/busy": return entry == 1 ? Reply(status: 429) : Reply()
        case "/empty": return Reply(status: 204)
        case "/fails": throw Failure()
        case "/large": return Reply(body: Array(repeating: 7, count: 2_000))
        case "/slow":
            await self.gate.pass()
            return Reply(body: Array("slow".utf8))
        case "/stream":
            return Reply(
                status: 200, fields: [("Content-Type", "text/event-stream")],
                pieces: (1...50).map { Array("event \($0)\n\n".utf8) })
        default:
            return Reply(
                fields: [
                    ("Location", "/charges/\(entry)"), ("Content-Type", "application/octet-stream"), ("X-Note", "a"),
                ],
                body: Array(UInt8.min...UInt8.max) + [UInt8(entry)])
        }
    }
}

/// A response as it comes over the wire.
package struct WireResponse: Sendable {
    package let status: Int
    package let body: [UInt8]
    private let fields: [(name: String, value: String)]

    package var text: String { String(decoding: self.body, as: UTF8.self) }

    /// The values of a header.
    package subscript(name: String) -> [String] {
        self.fields.filter { $0.name == name.lowercased() }.map(\.value)
    }

    static func request(_ line: String, _ fields: [String], body: String) -> String {
        let lines =
            ["\(line) HTTP/1.1", "Host: api.test", "Connection: close", "Content-Length: \(body.utf8.count)"] + fields
        return lines.joined(separator: "\r\n") + "\r\n\r\n" + body
    }

    /// Sends one request over a connection of its own, and reads what comes until its end.
    init(of line: String, _ fields: [String], body: String, port: Int) async throws {
        let bytes = try await RawConnection.open(port: port) { connection in
            try await connection.write(Self.request(line, fields, body: body))
            return try await connection.takeRest()
        }
        let end = Array("\r\n\r\n".utf8)
        let headEnd = bytes.indices.first { bytes[$0...].starts(with: end) } ?? bytes.endIndex
        let lines = String(decoding: bytes[..<headEnd], as: UTF8.self).split(
            separator: "\r\n", omittingEmptySubsequences: false)
        self.status = Int(lines.first?.split(separator: " ").dropFirst().first ?? "") ?? 0
        self.fields = lines.dropFirst().map { line in
            let parts = line.split(separator: ":", maxSplits: 1).map { String($0.drop { $0 == " " }) }
            return (parts.first?.lowercased() ?? "", parts.count > 1 ? parts[1] : "")
        }
        let rest = Array(bytes[min(headEnd + 4, bytes.endIndex)...])
        let isChunked = self.fields.contains { $0.name == "transfer-encoding" && $0.value.contains("chunked") }
        self.body = isChunked ? Self.unchunked(rest) : rest
    }

    private static func unchunked(_ bytes: [UInt8]) -> [UInt8] {
        var (body, rest) = ([UInt8](), bytes[...])
        while let lineEnd = rest.firstIndex(of: UInt8(ascii: "\r")),
            let size = Int(String(decoding: rest[..<lineEnd], as: UTF8.self), radix: 16), size > 0
        {
            body += rest.dropFirst(lineEnd - rest.startIndex + 2).prefix(size)
            rest = rest.dropFirst(lineEnd - rest.startIndex + size + 4)
        }
        return body
    }
}
