import HTTPTypes
import Hummingbird
import Idemptx
import Synchronization

extension Request {
    /// Reads the body, for the fingerprint and for the handler.
    ///
    /// - Returns: `false` if it is larger than permitted. The request can be passed on all the same, with all of it.
    /// - Throws: An error if the caller left before the end: half a body must not be executed.
    mutating func collectBody(into guarded: inout GuardedRequest) async throws -> Bool {
        let announced = self.headers[.contentLength].flatMap { Int($0) }
        if let announced, announced > guarded.maxBodySize { return false }

        var collected = ByteBuffer()
        var iterator = self.body.makeAsyncIterator()
        while let chunk = try await iterator.next() {
            collected.writeImmutableBuffer(chunk)
            guard collected.readableBytes <= guarded.maxBodySize else {
                self.body = RequestBody(asyncSequence: ResumedBody(start: collected, rest: iterator))
                return false
            }
            guarded.update(body: Array(chunk.readableBytesView))
        }
        self.body = RequestBody(buffer: collected)
        return true
    }
}

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
