import FlyingFox
import FlyingSocks
import Foundation
import HTTPTypes
import Idemptx

/// Makes the routes of a FlyingFox server safe to retry: an adapter for a framework that is not ours, against public API
/// only.
///
/// ```swift
/// await server.appendRoute("POST /charges", to: IdempotentHandler(idempotency: idempotency) { request in … })
/// ```
struct IdempotentHandler: HTTPHandler {
    let idempotency: Idempotency
    let handler: @Sendable (FlyingFox.HTTPRequest) async throws -> FlyingFox.HTTPResponse

    init(
        idempotency: Idempotency,
        handler: @escaping @Sendable (FlyingFox.HTTPRequest) async throws -> FlyingFox.HTTPResponse
    ) {
        self.idempotency = idempotency
        self.handler = handler
    }

    func handleRequest(_ request: FlyingFox.HTTPRequest) async throws -> FlyingFox.HTTPResponse {
        let adapter = FlyingFoxAdapter()
        let fields = adapter.head(of: request).headerFields
        return try await self.idempotency.respond(
            to: request, through: adapter, scope: { _ in try .credentials(in: fields) },
            operation: { request, _ in try await self.handler(request) })
    }
}

/// Translates between FlyingFox and the layer.
struct FlyingFoxAdapter: HTTPAdapter {
    func head(of request: FlyingFox.HTTPRequest) -> HTTPTypes.HTTPRequest {
        HTTPTypes.HTTPRequest(
            method: .init(request.method.rawValue) ?? .post, scheme: "http", authority: request.headers[.host],
            path: request.target.rawValue, headerFields: HTTPFields(request.headers))
    }

    func readBody(of request: inout FlyingFox.HTTPRequest, within allowance: BodyAllowance) async throws -> [UInt8]? {
        var body = Data()
        var chunks = request.bodySequence.makeAsyncIterator()
        while let chunk = try await chunks.next() {
            let isAllowed = allowance.take(chunk.count)
            body.append(chunk)
            guard isAllowed else {
                // What has been read, and then the rest.
                let unread = UnreadBody(chunks)
                let rest = ByteStream(start: Array(body)) { try await unread.next() }
                request.bodySequence =
                    request.bodySequence.count.map { HTTPBodySequence(from: rest, count: $0) }
                    ?? HTTPBodySequence(from: rest)
                return nil
            }
        }
        request.setBodyData(body)
        return Array(body)
    }

    func takeApart(_ response: FlyingFox.HTTPResponse) -> ResponseParts {
        let head = HTTPTypes.HTTPResponse(
            status: .init(code: response.statusCode.code, reasonPhrase: response.statusCode.phrase),
            headerFields: HTTPFields(response.headers))
        guard case .httpBody(let body) = response.payload else { return ResponseParts(head: head) }
        return ResponseParts(
            head: head,
            body: .producer(length: body.count) { write in
                // FlyingFox puts a body without a length into chunks by itself (RFC 9112, section 7.1).
                var decoder = body.count == nil ? ChunkDecoder() : nil
                for try await data in body {
                    let bytes = decoder == nil ? Array(data) : try decoder?.decode(data) ?? []
                    if !bytes.isEmpty { try await write(bytes) }
                }
                return nil
            })
    }

    func assemble(_ parts: ResponseParts) -> FlyingFox.HTTPResponse {
        let body: HTTPBodySequence
        switch parts.body {
        case .bytes(let bytes, _): body = HTTPBodySequence(data: Data(bytes))
        case .producer(let length, let produce):
            let stream = ByteStream(produce)
            body = length.map { HTTPBodySequence(from: stream, count: $0) } ?? HTTPBodySequence(from: stream)
        }
        var headers = HTTPHeaders()
        for field in parts.head.headerFields {
            headers.addValue(field.value, for: HTTPHeader(field.name.rawName))
        }
        return FlyingFox.HTTPResponse(
            statusCode: HTTPStatusCode(parts.head.status.code, phrase: parts.head.status.reasonPhrase),
            headers: headers, body: body)
    }

    func response(to error: any Error, for request: FlyingFox.HTTPRequest) -> FlyingFox.HTTPResponse {
        FlyingFox.HTTPResponse(statusCode: .internalServerError)
    }
}

extension HTTPFields {
    init(_ headers: HTTPHeaders) {
        self.init()
        for header in headers.keys {
            guard let name = HTTPField.Name(header.rawValue) else { continue }
            for value in headers.values(for: header) { self.append(HTTPField(name: name, value: value)) }
        }
    }
}

/// Bytes as FlyingFox takes them, from a function that writes them or hands them out.
struct ByteStream: AsyncBufferedSequence {
    typealias Element = UInt8

    struct AsyncIterator: AsyncBufferedIteratorProtocol {
        fileprivate var chunks: AsyncThrowingStream<[UInt8], any Error>.AsyncIterator
        fileprivate let demand: AsyncStream<Void>.Continuation?
        fileprivate var rest: ArraySlice<UInt8> = []

        mutating func next() async throws -> UInt8? {
            try await self.nextBuffer(suggested: 1)?.first
        }

        mutating func nextBuffer(suggested count: Int) async throws -> [UInt8]? {
            while self.rest.isEmpty {
                self.demand?.yield()
                guard let chunk = try await self.chunks.next(isolation: #isolation) else { return nil }
                self.rest = chunk[...]
            }
            defer { self.rest = self.rest.dropFirst(count) }
            return Array(self.rest.prefix(count))
        }
    }

    private let chunks: AsyncThrowingStream<[UInt8], any Error>
    /// Asks for the next chunk; `nil` if that is made when it is read.
    private let demand: AsyncStream<Void>.Continuation?

    /// What `produce` writes.
    init(_ produce: @escaping @Sendable (@escaping BodyWriter) async throws -> HTTPFields?) {
        let (chunks, continuation) = AsyncThrowingStream.makeStream(of: [UInt8].self)
        let (demands, demand) = AsyncStream.makeStream(of: Void.self)
        self.chunks = chunks
        self.demand = demand
        let task = Task {
            do {
                _ = try await produce { bytes in
                    // There is room for a chunk when FlyingFox asks for it.
                    var iterator = demands.makeAsyncIterator()
                    guard await iterator.next(isolation: #isolation) != nil else { throw CancellationError() }
                    if case .terminated = continuation.yield(bytes) { throw CancellationError() }
                }
                continuation.finish()
            } catch {
                // FlyingFox cuts the connection.
                continuation.finish(throwing: error)
            }
        }
        continuation.onTermination = { _ in
            demand.finish()
            task.cancel()
        }
    }

    /// `start`, and then what `next` returns.
    init(start: [UInt8], next: @escaping @Sendable () async throws -> [UInt8]?) {
        self.demand = nil
        let isStarted = Started()
        self.chunks = AsyncThrowingStream {
            if isStarted.begin() { return start }
            return try await next()
        }
    }

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(chunks: self.chunks.makeAsyncIterator(), demand: self.demand)
    }

    /// Whether the first piece has been handed out; a stream asks for one piece at a time.
    private final class Started: Sendable {
        // Safe: a stream asks for one piece at a time.
        nonisolated(unsafe) private var hasBegun = false

        func begin() -> Bool {
            defer { unsafe self.hasBegun = true }
            return unsafe !self.hasBegun
        }
    }
}

/// The rest of a body of which the first part has been read.
private final class UnreadBody: Sendable {
    // Safe: a body is read by one reader, piece by piece.
    nonisolated(unsafe) private var chunks: HTTPBodySequence.Iterator

    init(_ chunks: HTTPBodySequence.Iterator) {
        unsafe self.chunks = chunks
    }

    @concurrent
    func next() async throws -> [UInt8]? {
        unsafe try await self.chunks.next().map { Array($0) }
    }
}

/// Takes the framing off a chunked body.
struct ChunkDecoder {
    struct Malformed: Error {}

    private var pending: [UInt8] = []

    mutating func decode(_ data: Data) throws -> [UInt8] {
        self.pending += data
        var decoded: [UInt8] = []
        while let lineEnd = self.pending.firstIndex(of: UInt8(ascii: "\r")) {
            guard let size = Int(String(decoding: self.pending[..<lineEnd], as: UTF8.self), radix: 16) else {
                throw Malformed()
            }
            guard self.pending.count >= lineEnd + 2 + size + 2 else { break }
            decoded += self.pending[(lineEnd + 2)...].prefix(size)
            self.pending.removeFirst(lineEnd + 2 + size + 2)
        }
        return decoded
    }
}
