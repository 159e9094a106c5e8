import HTTPTypes
public import Hummingbird
public import Idemptx
import Logging
import Synchronization

/// Translates between Hummingbird and the layer.
struct HummingbirdAdapter<Context: RequestContext>: HTTPAdapter {
    let context: Context

    func head(of request: Request) -> HTTPRequest {
        request.head
    }

    func readBody(of request: inout Request, within allowance: BodyAllowance) async throws -> [UInt8]? {
        var collected = ByteBuffer()
        var iterator = request.body.makeAsyncIterator()
        while let chunk = try await iterator.next() {
            let isAllowed = allowance.take(chunk.readableBytes)
            if collected.readableBytes == 0 { collected = chunk } else { collected.writeImmutableBuffer(chunk) }
            guard isAllowed else {
                request.body = RequestBody(asyncSequence: ResumedBody(start: collected, rest: iterator))
                return nil
            }
        }
        request.body = RequestBody(buffer: collected)
        return Array(collected.readableBytesView)
    }

    func takeApart(_ response: Response) -> ResponseParts {
        let (head, body) = (response.head, response.body)
        if body.contentLength == 0 { return ResponseParts(head: head) }
        return ResponseParts(
            head: head,
            body: .producer(length: body.contentLength) { write in
                let end = BodyEnd()
                try await body.write(PassingWriter(write: write, end: end))
                return try end.trailers
            })
    }

    func assemble(_ parts: ResponseParts) -> Response {
        let body: ResponseBody
        switch parts.body {
        case .bytes(let bytes, nil): body = ResponseBody(byteBuffer: ByteBuffer(bytes: bytes))
        case .bytes(let bytes, let trailers):
            body = ResponseBody(contentLength: bytes.count) { writer in
                try await writer.write(ByteBuffer(bytes: bytes))
                try await writer.finish(trailers)
            }
        case .producer(let length, let produce):
            body = ResponseBody(contentLength: length) { writer in
                // Safe: this waits for the producer, so that the writer is not used from two sides.
                let connection = Connection(writer)
                let trailers = try await produce { try await connection.write(ByteBuffer(bytes: $0)) }
                try await writer.finish(trailers)
            }
        }
        return Response(status: parts.head.status, headers: parts.head.headerFields, body: body)
    }

    func response(to error: any Error, for request: Request) -> Response {
        if let error = error as? any HTTPResponseError,
            let response = try? error.response(from: request, context: self.context)
        {
            return response
        }
        // Only the type: an error can quote anything that the request held.
        self.context.logger.error("A handler failed", metadata: ["error.type": "\(type(of: error))"])
        return Response(status: .internalServerError)
    }
}

extension IdempotencyProblem: HTTPResponseError {
    /// The problem details, for a handler that calls `Idempotency.run` itself and lets its problems pass.
    public func response(from request: Request, context: some RequestContext) throws -> Response {
        HummingbirdAdapter(context: context).assemble(self.response)
    }
}

extension Response {
    /// A response of the layer itself.
    package init(_ parts: ResponseParts) {
        self.init(
            status: parts.head.status, headers: parts.head.headerFields,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: parts.bytes ?? [])))
    }
}

// MARK: - Bodies

/// A body of which the first part has been read already.
private final class ResumedBody: AsyncSequence, Sendable {
    struct AsyncIterator: AsyncIteratorProtocol {
        var start: ByteBuffer?
        var rest: RequestBody.AsyncIterator?

        @concurrent
        mutating func next() async throws -> ByteBuffer? {
            if let start {
                self.start = nil
                return start
            }
            return try await self.rest?.next()
        }
    }

    /// Handed to the first iterator; a body can be read once.
    private let source: Mutex<AsyncIterator?>

    init(start: ByteBuffer, rest: sending RequestBody.AsyncIterator) {
        self.source = Mutex(AsyncIterator(start: start, rest: rest))
    }

    func makeAsyncIterator() -> AsyncIterator {
        self.source.withLock { source in
            defer { source = nil }
            return source ?? AsyncIterator()
        }
    }
}

/// How a body ended.
private final class BodyEnd: Sendable {
    /// The producer of the body returned before its end.
    private struct Missing: Error {}

    private let finished = Mutex<HTTPFields??>(nil)

    /// The fields behind the body.
    var trailers: HTTPFields? {
        get throws {
            guard let trailers = self.finished.withLock({ $0 }) else { throw Missing() }
            return trailers
        }
    }

    func finish(_ trailers: HTTPFields?) {
        self.finished.withLock { $0 = .some(trailers) }
    }
}

/// Passes what Hummingbird writes to the layer.
private struct PassingWriter: ResponseBodyWriter {
    let write: BodyWriter
    let end: BodyEnd

    @concurrent
    mutating func write(_ buffer: ByteBuffer) async throws {
        try await self.write(Array(buffer.readableBytesView))
    }

    @concurrent
    consuming func finish(_ trailingHeaders: HTTPFields?) async throws {
        self.end.finish(trailingHeaders)
    }
}

/// The connection that a body is written to.
private final class Connection: Sendable {
    // Safe: one body is written at a time, by one producer.
    nonisolated(unsafe) private var writer: any ResponseBodyWriter

    init(_ writer: any ResponseBodyWriter) {
        unsafe self.writer = writer
    }

    @concurrent
    func write(_ buffer: ByteBuffer) async throws {
        unsafe try await self.writer.write(buffer)
    }
}
