import Hummingbird
import NIOCore
import Synchronization

/// The body of a request, read as the upstream takes it.
///
/// The upstream can answer before it has taken all of it. A connection must not be read from two sides then, so that
/// whoever is done with the request calls ``stop()`` before anybody else reads on.
final class RequestUpload: AsyncSequence, Sendable {
    /// The request has been answered, and nobody needs the rest of its body.
    struct Stopped: Error {}

    /// A body can be read once: iterators but the first one find none.
    struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let upload: RequestUpload
        fileprivate var body: RequestBody.AsyncIterator?

        @concurrent
        mutating func next() async throws -> ByteBuffer? {
            if let first = try self.upload.beginReading() { return first }
            do {
                let chunk = try await self.body?.next()
                try self.upload.endReading(with: chunk)
                return chunk
            } catch {
                self.upload.endReading(failure: error)
                throw error
            }
        }
    }

    private enum End {
        case complete
        case failed(any Error)
        case stopped
    }

    private struct State {
        /// What was read before there was an upload.
        var first: ByteBuffer?
        var isUntouched = true
        var isReading = false
        /// How much more may come, in bytes.
        var remaining: Int
        var end: End?
        var waiter: CheckedContinuation<Void, Never>?

        /// - Returns: Whom to wake.
        mutating func endReading(_ end: End?) -> CheckedContinuation<Void, Never>? {
            self.end = self.end ?? end
            self.isReading = false
            defer { self.waiter = nil }
            return self.waiter
        }
    }

    private let body: Mutex<RequestBody.AsyncIterator?>
    private let state: Mutex<State>

    /// - Parameters:
    ///   - first: The start of the body, if it has been read already.
    ///   - rest: The rest of it.
    ///   - limit: How long the rest may be, in bytes.
    init(first: ByteBuffer?, rest: sending RequestBody.AsyncIterator, limit: Int) {
        self.body = Mutex(rest)
        self.state = Mutex(State(first: first, remaining: limit))
    }

    func makeAsyncIterator() -> AsyncIterator {
        self.state.withLock { $0.isUntouched = false }
        return self.body.withLock { body in
            defer { body = nil }
            return AsyncIterator(upload: self, body: body)
        }
    }

    /// Whether nobody has begun to take it.
    var isUntouched: Bool { self.state.withLock { $0.isUntouched } }

    /// Why the body could not be read to its end; it is the client's fault.
    var failure: (any Error)? {
        self.state.withLock { state in
            guard case .failed(let error) = state.end else { return nil }
            return error
        }
    }

    /// Ends the upload, and waits until nobody reads any more.
    func stop() async {
        await withCheckedContinuation { continuation in
            let isReading = self.state.withLock { state in
                state.end = state.end ?? .stopped
                if state.isReading { state.waiter = continuation }
                return state.isReading
            }
            if !isReading { continuation.resume() }
        }
    }

    /// - Returns: What has been read already; `nil` if it has to be read now.
    private func beginReading() throws -> ByteBuffer? {
        try self.state.withLock { state in
            switch state.end {
            case .failed(let error): throw error
            // Not the end of the body: the upstream must not take a part for the whole.
            case .stopped: throw Stopped()
            case .complete, nil: break
            }
            defer { state.first = nil }
            state.isReading = state.first == nil
            return state.first
        }
    }

    private func endReading(with chunk: ByteBuffer?) throws {
        let waiter = try self.state.withLock { state in
            state.remaining -= chunk?.readableBytes ?? 0
            guard state.remaining >= 0 else { throw ProxyProblem(.requestTooLarge) }
            return state.endReading(chunk == nil ? .complete : nil)
        }
        waiter?.resume()
    }

    private func endReading(failure: any Error) {
        self.state.withLock { $0.endReading(.failed(failure)) }?.resume()
    }
}
