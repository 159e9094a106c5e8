#if Vapor
import Idemptx
import NIOCore
import NIOHTTP1
import Synchronization
import Vapor

extension Request {
    private struct LostBodyKey: Vapor.StorageKey {
        typealias Value = Bool
    }

    /// Whether a part of the body was read, and no one can read the whole of it any more.
    var hasLostItsBody: Bool {
        get { self.storage[LostBodyKey.self] ?? false }
        set { self.storage[LostBodyKey.self] = newValue }
    }
}

extension Request.Body {
    /// Reads a body that comes as a stream.
    ///
    /// - Returns: The body, or `nil` if there is more than `allowance` lets pass. Then the rest is thrown away as it comes, so
    ///   that the connection goes on.
    func read(within allowance: BodyAllowance, on eventLoop: any EventLoop) async throws -> ByteBuffer? {
        let reader = BodyReader(allowance: allowance, whole: eventLoop.makePromise())
        self.drain { piece in
            reader.receive(piece)
            return eventLoop.makeSucceededVoidFuture()
        }
        return try await reader.whole.futureResult.get()
    }
}

/// Puts the pieces of a body together.
private final class BodyReader: Sendable {
    let whole: EventLoopPromise<ByteBuffer?>
    private let allowance: BodyAllowance
    /// `nil` once that is told.
    private let collected = Mutex<ByteBuffer?>(ByteBuffer())

    init(allowance: BodyAllowance, whole: EventLoopPromise<ByteBuffer?>) {
        self.allowance = allowance
        self.whole = whole
    }

    func receive(_ piece: BodyStreamResult) {
        self.collected.withLock { collected in
            guard var body = collected.take() else { return }
            switch piece {
            case .buffer(let bytes):
                guard self.allowance.take(bytes.readableBytes) else { return self.whole.succeed(nil) }
                body.writeImmutableBuffer(bytes)
                collected = body
            case .error(let error): self.whole.fail(error)
            case .end: self.whole.succeed(body)
            }
        }
    }
}

/// Bytes that are encoded already: by way of an encoder a request takes a body that it can be read again from.
struct ReadyBody: ContentEncoder {
    let buffer: ByteBuffer

    func encode<E: Encodable>(_ encodable: E, to body: inout ByteBuffer, headers: inout HTTPHeaders) throws {
        body = self.buffer
    }
}
#endif
