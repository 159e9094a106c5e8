import HTTPTypes
import Hummingbird
import Idemptx
import Synchronization

extension ResponseBody {
    /// A body that is recorded while it is sent.
    init(_ body: ResponseBody, recordedBy recorder: StreamRecorder) {
        let recorded = RecordedBody(body, recorder: recorder)
        self.init { writer in try await recorded.write(to: writer) }
    }
}

/// A body of unknown length on its way to the caller and into the store.
///
/// The operation has run, so that its answer is produced and stored even if nobody is left to send it to.
private final class RecordedBody: Sendable {
    private let body: ResponseBody
    private let recorder: StreamRecorder
    private let isStarted = Mutex(false)

    init(_ body: ResponseBody, recorder: StreamRecorder) {
        self.body = body
        self.recorder = recorder
    }

    deinit {
        // The server never asked for the body: the caller had left before the head was sent.
        guard self.isStarted.withLock({ !$0 }) else { return }
        let (body, recorder) = (self.body, self.recorder)
        Task { try await Self.record(body, recorder: recorder, to: nil) }
    }

    @concurrent
    func write(to writer: any ResponseBodyWriter) async throws {
        self.isStarted.withLock { $0 = true }
        let (body, recorder) = (self.body, self.recorder)
        // In a task of its own, which the cancellation of the request does not reach. Safe: this waits for its end, so
        // that the writer is not used from two sides.
        nonisolated(unsafe) let writer = writer
        let record: @Sendable @concurrent () async throws -> Void = {
            unsafe try await Self.record(body, recorder: recorder, to: writer)
        }
        try await Task { try await record() }.value
    }

    @concurrent
    private static func record(
        _ body: ResponseBody,
        recorder: StreamRecorder,
        to writer: (any ResponseBodyWriter)?
    ) async throws {
        do {
            try await recorder.withContext {
                try await body.write(RecordingWriter(recorder: recorder, connection: writer))
            }
        } catch {
            await recorder.fail()
            // Hummingbird cuts the connection, so that the caller does not take what came for the whole answer.
            throw error
        }
        // Without an effect if the producer has finished the body, as it should.
        await recorder.fail()
    }
}

/// Passes a body on to the caller, and to the recorder.
private struct RecordingWriter: ResponseBodyWriter {
    let recorder: StreamRecorder
    /// `nil` if the caller has left.
    var connection: (any ResponseBodyWriter)?

    @concurrent
    mutating func write(_ buffer: ByteBuffer) async throws {
        do {
            try await self.connection?.write(buffer)
        } catch {
            self.connection = nil
        }
        let isRecording = await self.recorder.append(Array(buffer.readableBytesView))
        // A stream without end must not run on for nobody.
        if self.connection == nil && !isRecording { throw CallerLeft() }
    }

    @concurrent
    consuming func finish(_ trailingHeaders: HTTPFields?) async throws {
        try await self.recorder.finish()
        guard let connection = self.connection else { throw CallerLeft() }
        try await connection.finish(trailingHeaders)
    }
}

/// The body is stored; there is nobody to send it to.
private struct CallerLeft: Error {}
