package import NIOCore
package import TestSupport

/// A message of HTTP/1.1 as it stood on the wire.
package struct WireMessage: Hashable, Sendable {
    /// The request line or the status line.
    package var start = ""
    /// The header lines, each as it stood.
    package var fields: [String] = []
    /// The body, without its framing.
    package var body: [UInt8] = []
    /// The trailer lines of a chunked body.
    package var trailers: [String] = []

    package init(start: String = "", fields: [String] = [], body: [UInt8] = []) {
        self.start = start
        self.fields = fields
        self.body = body
    }

    package var text: String { String(decoding: self.body, as: UTF8.self) }

    /// The code of a status line.
    package var status: Int { self.start.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0 }

    /// The values of all fields of a name.
    package subscript(name: String) -> [String] {
        self.fields.compactMap { field in
            let parts = field.split(separator: ":", maxSplits: 1).map(String.init)
            guard parts.first?.lowercased() == name.lowercased() else { return nil }
            return parts.count == 2 ? String(parts[1].drop { $0 == " " }) : ""
        }
    }

    /// The fields but for some.
    package func fields(without names: String...) -> [String] {
        self.fields.filter { field in
            !names.contains { field.lowercased().hasPrefix($0.lowercased() + ":") }
        }
    }
}

/// What was read is no message.
package struct NoMessage: Error {
    package let received: String
}

extension RawConnection {
    /// Reads the next message; `nil` if the other side closed the connection before one began.
    ///
    /// The response to HEAD has no body, whatever its fields say.
    package func readMessage(hasBody: Bool = true) async throws -> WireMessage? {
        guard var message = try await self.readHead() else { return nil }
        let isBodiless = !hasBody || [204, 304].contains(message.status) || (100...199).contains(message.status)
        if !isBodiless { try await self.readBody(of: &message) }
        return message
    }

    /// Reads a final response, and counts on getting one.
    package func readResponse(hasBody: Bool = true) async throws -> WireMessage {
        guard let message = try await self.readMessage(hasBody: hasBody) else { throw NoMessage(received: self.text) }
        return message
    }

    /// Reads start line and fields.
    package func readHead() async throws -> WireMessage? {
        guard let head = try await self.readLines(isHead: true) else { return nil }
        return WireMessage(start: head.first ?? "", fields: Array(head.dropFirst()))
    }

    /// Reads the body that belongs to a head.
    package func readBody(of message: inout WireMessage) async throws {
        if message["Transfer-Encoding"].last?.lowercased() == "chunked" {
            while let chunk = try await self.readChunk() { message.body += chunk }
            message.trailers = try await self.readLines(isHead: false) ?? []
        } else if let length = message["Content-Length"].first.flatMap({ Int($0) }) {
            message.body = try await self.expect { $0.count >= length ? length : nil }
        } else if message.start.hasPrefix("HTTP/") {
            message.body = try await self.takeRest()
        }
    }

    /// Reads one chunk of a body; `nil` for the last one.
    package func readChunk() async throws -> [UInt8]? {
        let line = try await self.expect { bytes in bytes.firstIndex(of: 10).map { $0 + 1 - bytes.startIndex } }
        let digits = String(decoding: line, as: UTF8.self).prefix { $0.isHexDigit }
        guard let size = Int(digits, radix: 16) else { throw NoMessage(received: self.text) }
        guard size > 0 else { return nil }
        return Array(try await self.expect { $0.count >= size + 2 ? size + 2 : nil }.dropLast(2))
    }

    private func readLines(isHead: Bool) async throws -> [String]? {
        var lines: [String] = []
        while let line = try await self.take({ bytes in bytes.firstIndex(of: 10).map { $0 + 1 - bytes.startIndex } }) {
            guard line.count > 2 else { return lines }
            lines.append(String(decoding: line.dropLast(2), as: UTF8.self))
        }
        guard lines.isEmpty, isHead, try await self.takeRest().isEmpty else { throw NoMessage(received: self.text) }
        return nil
    }

    private func expect(_ size: (ArraySlice<UInt8>) -> Int?) async throws -> [UInt8] {
        guard let bytes = try await self.take(size) else { throw NoMessage(received: self.text) }
        return bytes
    }

    private var text: String { String(decoding: self.received, as: UTF8.self) }
}

extension RawConnection {
    /// Lets the system take no more than a little of what comes before it is read.
    package static let takesLittle = { @Sendable (channel: any Channel) throws in
        try channel.syncOptions?.setOption(.socketOption(.so_rcvbuf), value: 16_384)
        try channel.syncOptions?.setOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 16_384))
    }

    /// Sends the last request of a connection, with a key, and takes what comes piece by piece, 2 MiB in a second at most.
    package func sendSlowly(_ request: String, body: String? = nil) async throws -> String {
        let body = body ?? ""
        try await self.write(
            .message(
                [
                    "\(request) HTTP/1.1", "Host: api.test", "Connection: close", "Content-Length: \(body.utf8.count)",
                ] + (body.isEmpty ? [] : ["Idempotency-Key: k-1"])) + Array(body.utf8))
        while try await self.take({ $0.isEmpty ? nil : $0.count }) != nil {
            try await Task.sleep(for: .milliseconds(8))
        }
        return String(decoding: self.received, as: UTF8.self)
    }
}

extension RawConnection {
    /// Sends one request, and reads its response.
    package func send(_ request: String, _ fields: [String] = [], body: String? = nil) async throws -> WireMessage {
        let length = body.map { ["Content-Length: \($0.utf8.count)"] } ?? []
        try await self.write(
            .message(["\(request) HTTP/1.1", "Host: api.test"] + fields + length) + Array((body ?? "").utf8))
        return try await self.readResponse(hasBody: !request.hasPrefix("HEAD "))
    }
}
