import HTTPTypes
import Synchronization

/// The body of a streamed response that is only observed: made for its reader, at the reader's pace, as if there were no
/// layer.
///
/// It ends with its reader, where enforcing would go on recording: what has come by then is judged.
final class ObservedStream: Sendable {
    private struct State {
        var chunks: [[UInt8]] = []
        var size = 0
        var isConcluded = false
    }

    private let head: HTTPResponse
    private let context: IdempotencyContext
    private let policy: SharedPolicy
    private let conclude: @Sendable (Disposition, Outcome?) -> Void
    private let state = Mutex(State())

    init(
        head: HTTPResponse,
        context: IdempotencyContext,
        policy: SharedPolicy,
        conclude: @escaping @Sendable (Disposition, Outcome?) -> Void
    ) {
        self.head = head
        self.context = context
        self.policy = policy
        self.conclude = conclude
    }

    deinit {
        // A body that was never asked for.
        self.end(isWhole: false)
    }

    /// The body that `produce` makes.
    func body(_ produce: @escaping @Sendable (@escaping BodyWriter) async throws -> HTTPFields?) -> ResponseParts.Body {
        .producer(length: nil) { write in
            do {
                let trailers = try await IdempotencyContext.$current.withValue(self.context) {
                    try await produce { bytes in
                        self.append(bytes)
                        try await write(bytes)
                    }
                }
                self.end(isWhole: true)
                return trailers
            } catch {
                self.end(isWhole: false)
                throw error
            }
        }
    }

    private func append(_ chunk: [UInt8]) {
        let isOverflowing = self.state.withLock { state in
            guard !state.isConcluded, state.size <= self.policy.maxResponseBody else { return false }
            state.size += chunk.count
            let isOverflowing = state.size > self.policy.maxResponseBody
            if isOverflowing { state.chunks = [] } else { state.chunks.append(chunk) }
            return isOverflowing
        }
        guard isOverflowing else { return }
        let (disposition, outcome) = self.policy.judge(self.head, nil, in: self.context)
        // A key that is freed waits for the end.
        if disposition == .tombstone { self.end(disposition, outcome) }
    }

    private func end(isWhole: Bool) {
        let body = self.state.withLock { state in
            state.size > self.policy.maxResponseBody ? nil : Array(state.chunks.joined())
        }
        let (disposition, outcome) = self.policy.judge(self.head, body, isWhole: isWhole, in: self.context)
        self.end(disposition, outcome)
    }

    private func end(_ disposition: Disposition, _ outcome: Outcome?) {
        let isFirst = self.state.withLock { state in
            defer { (state.isConcluded, state.chunks) = (true, []) }
            return !state.isConcluded
        }
        if isFirst { self.conclude(disposition, outcome) }
    }
}
