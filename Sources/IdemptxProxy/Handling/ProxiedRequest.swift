import HTTPProxy
import HTTPTypes
import Idemptx
import NIOCore

/// A request on its way through the layer.
struct ProxiedRequest: Sendable {
    let handled: HandledRequest
    let head: HTTPRequest
    /// What has been read of the body.
    var body = ByteBuffer()

    init(_ handled: HandledRequest, head: HTTPRequest) {
        self.handled = handled
        self.head = head
    }

    /// Sends it to the upstream, all of whose body has been read.
    ///
    /// - Parameters:
    ///   - context: The attempt.
    ///   - terms: How it is forwarded.
    ///   - timeout: How long the upstream may take.
    /// - Returns: The response.
    /// - Throws: ``ProxyFailure`` if there is no response.
    func forward(
        in context: IdempotencyContext, on terms: ForwardingTerms, timeout: Duration
    ) async throws(ProxyFailure) -> ResponseParts {
        let changes = FieldChanges(
            removed: terms.removed,
            added: [(name: HTTPField.Name.idempotencyAttempt.rawName, value: "\(context.attempt)")])
        switch await self.handled.forward(body: self.body, changes: changes, timeout: timeout) {
        case .response(let response): return Self.parts(of: response, without: terms.unrecorded, in: context)
        case .notSent:
            // Nothing ran: the next try may run.
            context.release()
            throw .upstreamUnreachable
        case .mayHaveBeenProcessed(let failure):
            // It ran: what cannot be passed on is not to be tried again.
            if failure.isHeadTooLarge { context.tombstone() }
            throw failure.problem
        }
    }

    private static func parts(
        of response: UpstreamResponse, without unrecorded: Set<HTTPField.Name>, in context: IdempotencyContext
    ) -> ResponseParts {
        var head = response.head
        for name in unrecorded where head.headerFields.contains(name) { head.headerFields[name] = nil }
        if let disposition = head.headerFields[.idempotencyDisposition] {
            head.headerFields[.idempotencyDisposition] = nil
            Disposition(rawValue: disposition.lowercased()).map { context.choose($0) }
        }
        let body = response.body
        return ResponseParts(
            head: head,
            body: .producer(length: response.length) { write in
                for try await chunk in body { try await write(Array(chunk.readableBytesView)) }
                let trailers = body.trailers
                return trailers.isEmpty ? nil : trailers
            })
    }
}

/// How guarded requests are forwarded.
struct ForwardingTerms: Sendable {
    /// The names of fields that the upstream does not get.
    let removed: [String]
    /// The names of fields of responses that are not recorded, since the proxy says them itself.
    let unrecorded: Set<HTTPField.Name>

    init(_ configuration: ProxyConfiguration) {
        self.removed = configuration.keepsAcceptEncoding ? [] : ["accept-encoding"]
        self.unrecorded = configuration.corsOrigins.isEmpty ? [] : CrossOriginRule.fieldNames
    }
}

/// What a request came to.
enum ProxiedResponse: Sendable {
    case made(ResponseParts)
    /// It is not guarded after all.
    case forwarded(read: ByteBuffer)

    var result: HandledResult {
        switch self {
        case .made(let parts): .response(HandledResponse(parts))
        case .forwarded(let read): .forward(read: read)
        }
    }
}

extension HandledResponse {
    init(_ parts: ResponseParts) {
        switch parts.body {
        case .bytes(let bytes, nil): self.init(head: parts.head, body: .bytes(ByteBuffer(bytes: bytes)))
        case .bytes(let bytes, let trailers?):
            self.init(
                head: parts.head,
                body: .stream(length: nil) { writer in
                    try await writer.write(ByteBuffer(bytes: bytes))
                    return Array(trailers)
                })
        case .producer(let length, let produce):
            self.init(
                head: parts.head,
                body: .stream(length: length) { writer in
                    Array(try await produce { try await writer.write(ByteBuffer(bytes: $0)) } ?? [:])
                })
        }
    }
}
