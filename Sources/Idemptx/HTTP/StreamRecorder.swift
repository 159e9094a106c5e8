import HTTPTypes
import Synchronization

/// A body of unknown length on its way into the store and to its reader.
///
/// The producer writes at its own pace: what is recorded is kept anyway, and the reader takes it from there. A reader that
/// stops reading, or leaves, does not delay it. Beyond the limit of what is recorded, the producer waits for the reader, and
/// stops if there is none left.
final class StreamRecorder: Sendable {
    /// The body is recorded, and its reader is gone.
    struct ReaderLeft: Error {}

    fileprivate enum End {
        case finished(HTTPFields?)
        case failed(any Error)
    }

    fileprivate struct State {
        var chunks: [[UInt8]] = []
        /// The place of the reader.
        var next = 0
        var size = 0
        var hasOverflown = false
        /// Nothing is left to be recorded.
        var isSettled = false
        var isReaderGone = false
        var end: End?
        var reader: CheckedContinuation<Void, Never>?
        var producer: CheckedContinuation<Void, Never>?
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) {
        self.limit = limit
    }

    // MARK: The producer's side

    /// Records the next bytes.
    ///
    /// - Returns: Whether they are the first that are too many.
    func append(_ chunk: [UInt8]) -> Bool {
        let (isOverflowing, reader) = self.state.withLock { state in
            state.chunks.append(chunk)
            state.size += chunk.count
            let isOverflowing = !state.hasOverflown && state.size > self.limit
            if isOverflowing {
                state.hasOverflown = true
                state.dropRead()
            }
            return (isOverflowing, state.reader.take())
        }
        reader?.resume()
        return isOverflowing
    }

    /// Everything that was written; `nil` if it is too large.
    var body: [UInt8]? {
        self.state.withLock { state in
            guard !state.hasOverflown else { return nil }
            if state.chunks.count == 1 { return state.chunks[0] }
            var body: [UInt8] = []
            body.reserveCapacity(state.size)
            for chunk in state.chunks { body.append(contentsOf: chunk) }
            return body
        }
    }

    /// The outcome is stored already: the rest is for the reader alone.
    func settle() {
        self.state.withLock { $0.isSettled = true }
    }

    /// Waits until the reader has taken everything, once it is too much to be kept.
    ///
    /// - Throws: ``ReaderLeft`` if the rest is not needed any more.
    func waitForReader() async throws(ReaderLeft) {
        await withCheckedContinuation { continuation in
            let isWaiting = self.state.withLock { state in
                guard state.hasOverflown, state.next < state.chunks.count, !state.isReaderGone else { return false }
                state.producer = continuation
                return true
            }
            if !isWaiting { continuation.resume() }
        }
        let isOver = self.state.withLock { state in
            if state.isReaderGone, state.hasOverflown { state.chunks = [] }
            return state.isReaderGone && state.isSettled
        }
        if isOver { throw ReaderLeft() }
    }

    /// Lets the reader see the end.
    ///
    /// - Parameter result: The fields behind the body, or why it is cut.
    func end(_ result: Result<HTTPFields?, any Error>) {
        let reader = self.state.withLock { state in
            if state.end == nil {
                state.end =
                    switch result {
                    case .success(let trailers): .finished(trailers)
                    case .failure(let error): .failed(error)
                    }
            }
            return state.reader.take()
        }
        reader?.resume()
    }

    // MARK: The reader's side

    /// A body that is sent as it is recorded.
    var sentBody: ResponseParts.Body {
        let departure = Departure(self)
        return .producer(length: nil) { sink in
            defer { departure.leave() }
            while let chunk = try await self.next() { try await sink.write(chunk) }
            return self.state.withLock { state in
                if case .finished(let trailers) = state.end { trailers } else { nil }
            }
        }
    }

    private func next() async throws -> [UInt8]? {
        while true {
            if let chunk = self.takeNext() { return chunk }
            switch self.state.withLock({ $0.end }) {
            case .failed(let error): throw error
            case .finished: return nil
            case nil: await self.waitForProducer()
            }
            try Task.checkCancellation()
        }
    }

    private func takeNext() -> [UInt8]? {
        let (chunk, producer) = self.state.withLock { state -> ([UInt8]?, CheckedContinuation<Void, Never>?) in
            guard state.next < state.chunks.count else { return (nil, nil) }
            let chunk = state.chunks[state.next]
            state.next += 1
            if state.hasOverflown, state.next == state.chunks.count { state.dropRead() }
            return (chunk, state.next == state.chunks.count ? state.producer.take() : nil)
        }
        producer?.resume()
        return chunk
    }

    private func waitForProducer() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isWaiting = self.state.withLock { state in
                    guard state.next == state.chunks.count, state.end == nil, !Task.isCancelled else { return false }
                    state.reader = continuation
                    return true
                }
                if !isWaiting { continuation.resume() }
            }
        } onCancel: {
            self.state.withLock { $0.reader.take() }?.resume()
        }
    }

    fileprivate func readerLeft() {
        let producer = self.state.withLock { state in
            state.isReaderGone = true
            return state.producer.take()
        }
        producer?.resume()
    }
}

extension StreamRecorder.State {
    fileprivate mutating func dropRead() {
        self.chunks.removeFirst(self.next)
        self.next = 0
    }
}

/// Notices that a body is not read any more, or never was.
private final class Departure: Sendable {
    private let recorder: StreamRecorder

    init(_ recorder: StreamRecorder) {
        self.recorder = recorder
    }

    func leave() {
        self.recorder.readerLeft()
    }

    deinit {
        self.leave()
    }
}
