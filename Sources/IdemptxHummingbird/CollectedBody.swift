import HTTPTypes
import Hummingbird
import Synchronization

/// A response body that has been produced in full.
struct CollectedBody: Sendable {
    /// The body ended before its end, or is not as long as announced.
    struct Incomplete: Error {}

    private(set) var bytes = ByteBuffer()
    private(set) var trailers: HTTPFields?
    private var isFinished = false

    /// - Parameters:
    ///   - body: The body.
    ///   - length: Its announced length, in bytes.
    /// - Throws: ``Incomplete``, or what the producer of the body throws.
    init(of body: ResponseBody, length: Int) async throws {
        let collection = Collection()
        try await body.write(Writer(collection: collection))
        self = collection.body.withLock { $0 }
        guard self.isFinished, self.bytes.readableBytes == length else { throw Incomplete() }
    }

    /// An empty body.
    init() {}

    /// The same body again.
    var responseBody: ResponseBody {
        guard let trailers else { return ResponseBody(byteBuffer: self.bytes) }
        let bytes = self.bytes
        return ResponseBody(contentLength: bytes.readableBytes) { writer in
            try await writer.write(bytes)
            try await writer.finish(trailers)
        }
    }

    private final class Collection: Sendable {
        let body = Mutex(CollectedBody())
    }

    private struct Writer: ResponseBodyWriter {
        let collection: Collection

        @concurrent
        mutating func write(_ buffer: ByteBuffer) async throws {
            self.collection.body.withLock { body in
                if body.bytes.readableBytes == 0 {
                    body.bytes = buffer
                } else {
                    body.bytes.writeImmutableBuffer(buffer)
                }
            }
        }

        @concurrent
        consuming func finish(_ trailingHeaders: HTTPFields?) async throws {
            self.collection.body.withLock { body in
                body.trailers = trailingHeaders
                body.isFinished = true
            }
        }
    }
}
