import HTTPTypes
import Synchronization

/// A body of unknown length on its way into the store and to its reader.
///
/// The producer writes at its own pace: what is recorded is kept anyway, and the reader takes it from there. A reader that
/// stops reading, or leaves, does not delay it. Beyond the limit of what is recorded, the producer waits for the reader, and
/// stops if there is none left. One that takes nothing for ``readerTimeout`` counts as gone, and its connection is cut:
/// otherwise it would hold the operation for as long as it likes.
final class StreamRecorder: Sendable {
    /// The body is recorded, and its reader is gone.
    struct ReaderLeft: Error {}

    /// The reader stalled, so the rest of the body is dropped.
    struct ReaderStalled: Error {}

    /// How long the producer waits for the reader to take the next piece.
    static let readerTimeout = Duration.seconds(60)

    /// The reader takes no more than this at a time, so that a slow one is seen to move.
    private static let pieceSize = 64 << 10

    fileprivate enum End {
        case finished(HTTPFields?)
        case failed(any Error)
    }

    fileprivate struct State {
        var chunks: [[UInt8]] = []
        /// The place of the reader: a chunk, and how much of it has been taken.
        var next = 0
        var offset = 0
        var size = 0
        var hasOverflown = false
        /// Nothing is left to be recorded.
        var isSettled = false
        var isReaderGone = false
        var hasStoppedProducer = false
        var end: End?
        var reader: CheckedContinuation<Void, Never>?
        var producer: CheckedContinuation<Void, Never>?
        /// When the producer began to wait for the reader's next step.
        var waitingSince: Timestamp?
        /// Watches over a reader that is waited for.
        var watch: Task<Void, Never>?
    }

    private let limit: Int
    private let time: TimeSource
    private let state = Mutex(State())

    init(limit: Int, time: TimeSource) {
        self.limit = limit
        self.time = time
    }

    deinit {
        self.state.withLock { $0.watch }?.cancel()
    }

    // MARK: The producer's side

    /// Records the next bytes.
    ///
    /// - Returns: Whether they are the first that are too many.
    func append(_ chunk: [UInt8]) -> Bool {
        let (isOverflowing, reader) = self.state.withLock { state in
            if !(state.hasOverflown && state.isReaderGone) { state.chunks.append(chunk) }
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

    /// Whether it was the reader's leaving that kept the body from its end.
    var hasStoppedProducer: Bool { self.state.withLock { $0.hasStoppedProducer } }

    /// The outcome is stored already, or will not be: the rest is for the reader alone.
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
                state.waitingSince = self.time.now
                state.watch = state.watch ?? self.watch()
                return true
            }
            if !isWaiting { continuation.resume() }
        }
        let isOver = self.state.withLock { state in
            if state.isReaderGone, state.hasOverflown { state.dropAll() }
            state.hasStoppedProducer = state.isReaderGone && state.hasOverflown && state.isSettled
            return state.hasStoppedProducer
        }
        if isOver { throw ReaderLeft() }
    }

    private func watch() -> Task<Void, Never> {
        // Ends with the body; it must not carry the trace of a request that may be over before.
        Task.detached { [weak self, time] in
            while let pause = self?.pauseBeforeLook(), (try? await time.sleep(for: pause)) != nil {}
        }
    }

    /// Lets go of a reader that has been waited for too long.
    ///
    /// - Returns: When to look again; `nil` if there is nothing to look at any more.
    private func pauseBeforeLook() -> Duration? {
        let now = self.time.now
        let (pause, producer) = self.state.withLock { state -> (Duration?, CheckedContinuation<Void, Never>?) in
            guard state.end == nil, !state.isReaderGone else { return (nil, nil) }
            guard state.producer != nil, let since = state.waitingSince else { return (Self.readerTimeout, nil) }
            let due = since.advanced(by: Self.readerTimeout)
            guard due <= now else { return (now.duration(to: due), nil) }
            state.isReaderGone = true
            state.end = .failed(ReaderStalled())
            state.dropAll()
            return (nil, state.producer.take())
        }
        producer?.resume()
        return pause
    }

    /// Lets the reader see the end.
    ///
    /// - Parameter result: The fields behind the body, or why it is cut.
    func end(_ result: Result<HTTPFields?, any Error>) {
        let (reader, watch) = self.state.withLock { state in
            if state.end == nil {
                state.end =
                    switch result {
                    case .success(let trailers): .finished(trailers)
                    case .failure(let error): .failed(error)
                    }
            }
            return (state.reader.take(), state.watch.take())
        }
        watch?.cancel()
        reader?.resume()
    }

    // MARK: The reader's side

    /// A body that is sent as it is recorded.
    var sentBody: ResponseParts.Body {
        let departure = Departure(self)
        return .producer(length: nil) { write in
            defer { departure.leave() }
            while let chunk = try await self.next() { try await write(chunk) }
            return self.state.withLock { state in
                if case .finished(let trailers) = state.end { trailers } else { nil }
            }
        }
    }

    private func next() async throws -> [UInt8]? {
        while true {
            switch self.takeNext() {
            case .piece(let bytes): return bytes
            case .end(.failed(let error)): throw error
            case .end(.finished): return nil
            case .nothingYet: await self.waitForProducer()
            }
            try Task.checkCancellation()
        }
    }

    /// What the reader finds.
    private enum Next {
        case piece([UInt8])
        case end(End)
        case nothingYet
    }

    /// Takes the next piece, or the end; both are looked for at one moment, since the last piece and the end can come
    /// between two.
    private func takeNext() -> Next {
        let (next, producer) = self.state.withLock { state -> (Next, CheckedContinuation<Void, Never>?) in
            guard state.next < state.chunks.count else {
                return (state.end.map { .end($0) } ?? .nothingYet, nil)
            }
            if state.producer != nil { state.waitingSince = self.time.now }
            let piece = state.takePiece(atMost: Self.pieceSize)
            if state.hasOverflown, state.next == state.chunks.count { state.dropRead() }
            return (.piece(piece), state.next == state.chunks.count ? state.producer.take() : nil)
        }
        producer?.resume()
        return next
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

    fileprivate mutating func dropAll() {
        (self.chunks, self.next, self.offset) = ([], 0, 0)
    }

    fileprivate mutating func takePiece(atMost size: Int) -> [UInt8] {
        let chunk = self.chunks[self.next]
        let end = self.offset + size
        guard end < chunk.count else {
            let piece = self.offset == 0 ? chunk : Array(chunk[self.offset...])
            (self.next, self.offset) = (self.next + 1, 0)
            return piece
        }
        defer { self.offset = end }
        return Array(chunk[self.offset..<end])
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
