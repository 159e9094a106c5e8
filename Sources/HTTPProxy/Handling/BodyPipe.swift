package import HTTPTypes
package import NIOCore
import Synchronization

/// A body on its way from an event loop to a task, one piece after the other: who reads slowly, holds back who writes.
package final class BodyPipe: AsyncSequence, Sendable {
    package typealias Element = ByteBuffer

    /// A body can be read once: iterators share what is left of it.
    package struct AsyncIterator: AsyncIteratorProtocol {
        let pipe: BodyPipe

        package mutating func next() async throws -> ByteBuffer? {
            try await self.pipe.next()
        }
    }

    private struct State {
        var chunks = CircularBuffer<ByteBuffer>()
        var size = 0
        var isHeld = false
        var hasReader = false
        var end: Result<Trailers, any Error>?
        var waiter: CheckedContinuation<ByteBuffer?, any Error>?
    }

    /// How much waits here before the other side is held back.
    private static let bufferSize = 64 * 1024

    private let state = Mutex(State())
    /// Called when there is room again.
    private let onRoom: @Sendable () -> Void
    /// Called once somebody begins to read.
    private let onReader: @Sendable () -> Void

    init(onRoom: @escaping @Sendable () -> Void, onReader: @escaping @Sendable () -> Void = {}) {
        self.onRoom = onRoom
        self.onReader = onReader
    }

    package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(pipe: self) }

    /// The fields behind the body, once that has ended.
    package var trailers: HTTPFields {
        guard case .success(let trailers) = self.state.withLock({ $0.end }) else { return [:] }
        return HTTPFields(trailers)
    }

    // MARK: The reader

    private enum Step {
        case chunk(ByteBuffer, hasRoom: Bool)
        case end(Result<Trailers, any Error>)
        case wait
    }

    private func step(_ waiter: CheckedContinuation<ByteBuffer?, any Error>?) -> Step {
        self.state.withLock { state in
            if let chunk = state.chunks.popFirst() {
                state.size -= chunk.readableBytes
                let hasRoom = state.isHeld && state.size < Self.bufferSize / 2
                if hasRoom { state.isHeld = false }
                return .chunk(chunk, hasRoom: hasRoom)
            }
            if let end = state.end { return .end(end) }
            state.waiter = waiter
            return .wait
        }
    }

    private func next() async throws -> ByteBuffer? {
        let isFirst = self.state.withLock { state in
            defer { state.hasReader = true }
            return !state.hasReader
        }
        if isFirst { self.onReader() }
        if let result = self.result(of: self.step(nil)) { return try result.get() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                if let result = self.result(of: self.step(continuation)) { continuation.resume(with: result) }
                if Task.isCancelled { self.cancelWaiter() }
            }
        } onCancel: {
            self.cancelWaiter()
        }
    }

    private func result(of step: Step) -> Result<ByteBuffer?, any Error>? {
        switch step {
        case .chunk(let chunk, let hasRoom):
            if hasRoom { self.onRoom() }
            return .success(chunk)
        case .end(.success): return .success(nil)
        case .end(.failure(let error)): return .failure(error)
        case .wait: return nil
        }
    }

    private func cancelWaiter() {
        self.takeWaiter()?.resume(throwing: CancellationError())
    }

    private func takeWaiter() -> CheckedContinuation<ByteBuffer?, any Error>? {
        self.state.withLock { state in
            defer { state.waiter = nil }
            return state.waiter
        }
    }

    /// Takes the bytes that have arrived and were not read.
    func takeAll() -> [ByteBuffer] {
        self.state.withLock { state in
            defer {
                state.chunks.removeAll()
                state.size = 0
                state.isHeld = false
            }
            return Array(state.chunks)
        }
    }

    // MARK: The writer

    /// - Returns: Whether there is room for more; ``onRoom`` is called when there is again.
    func write(_ bytes: ByteBuffer) -> Bool {
        let (waiter, hasRoom) = self.state.withLock { state in
            guard state.end == nil else { return (state.waiter, true) }
            if let waiter = state.waiter {
                state.waiter = nil
                return (waiter, true)
            }
            state.chunks.append(bytes)
            state.size += bytes.readableBytes
            state.isHeld = state.size >= Self.bufferSize
            return (nil, !state.isHeld)
        }
        waiter?.resume(returning: bytes)
        return hasRoom
    }

    /// The body ends here; what is here can still be read.
    func end(_ result: Result<Trailers, any Error>) {
        self.state.withLock { $0.end = $0.end ?? result }
        guard let waiter = self.takeWaiter() else { return }
        switch result {
        case .success: waiter.resume(returning: nil)
        case .failure(let error): waiter.resume(throwing: error)
        }
    }
}
