#if Vapor
public import Idemptx
import NIOCore
public import NIOHTTP1
import Synchronization
public import Vapor

extension Response {
    private struct StreamKey: Vapor.StorageKey {
        typealias Value = @Sendable (@escaping BodyWriter) async throws -> Void
    }

    /// Creates a response whose body is recorded while it is made and sent.
    ///
    /// The streams of other responses cannot be read from outside but as a whole: they are held back until their end.
    ///
    /// - Parameters:
    ///   - status: The status.
    ///   - headers: The header fields.
    ///   - produce: Writes the body piece by piece, and throws if it has no proper end.
    public convenience init(
        status: HTTPResponseStatus = .ok,
        headers: HTTPHeaders = [:],
        streaming produce: @escaping @Sendable (_ write: @escaping BodyWriter) async throws -> Void
    ) {
        self.init(status: status, headers: headers, body: Body(producer: produce, count: -1))
        self.storage[StreamKey.self] = produce
    }

    /// What makes the body, if it can be recorded while it is sent.
    var recordableStream: (@Sendable (@escaping BodyWriter) async throws -> Void)? {
        self.storage[StreamKey.self]
    }
}

extension Response.Body {
    /// A body that is written by a function.
    ///
    /// - Parameters:
    ///   - produce: Writes it.
    ///   - count: Its length, -1 for a stream.
    init(producer produce: @escaping @Sendable (@escaping BodyWriter) async throws -> Void, count: Int) {
        let beginning = Beginning()
        self.init(
            asyncStream: { writer in
                // Vapor asks for a body that has failed once more, only to tell it of the failure.
                let isFirst = beginning.begin()
                do {
                    guard isFirst else { throw CancellationError() }
                    try await produce { try await writer.writeBuffer(ByteBuffer(bytes: $0)) }
                } catch {
                    // The connection is cut.
                    try? await writer.write(.error(error))
                    throw error
                }
                try await writer.write(.end)
            },
            count: count)
    }
}

/// Whether something has begun.
private final class Beginning: Sendable {
    private let hasBegun = Mutex(false)

    /// - Returns: Whether it begins now.
    func begin() -> Bool {
        self.hasBegun.withLock { hasBegun in
            defer { hasBegun = true }
            return !hasBegun
        }
    }
}
#endif
