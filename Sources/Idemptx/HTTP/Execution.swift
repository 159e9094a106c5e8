public import HTTPTypes

/// One run of an operation on behalf of a request.
///
/// It ends with exactly one of ``finish(_:body:)``, ``stream(_:)`` and ``cutOff()``, which use it up: ending it twice does
/// not compile. One that is dropped instead lets its lease end, and the next request follows the rule for abandoned keys.
public struct Execution: ~Copyable, Sendable {
    /// The body of an answer, as far as it was captured.
    public enum CapturedBody: Sendable {
        /// All of it.
        case bytes([UInt8])
        /// It was not captured, being larger than ``Execution/captureLimit``.
        case notCaptured
    }

    /// What the operation may know about its attempt.
    public let context: IdempotencyContext

    private let runner: Idempotency
    /// `nil` if the operation runs unprotected.
    private let lease: HeldLease?
    private let policy: IdempotencyPolicy
    /// `nil` if the answer is not to be marked.
    private let markers: MarkerHeaders?

    init(
        runner: Idempotency,
        key: IdempotencyKey,
        lease: HeldLease?,
        policy: IdempotencyPolicy,
        markers: MarkerHeaders
    ) {
        self.context = IdempotencyContext(key: key, lease: lease?.live, mode: policy.mode, time: runner.time)
        self.runner = runner
        self.lease = lease
        self.policy = policy
        // Who observes does not want to be seen.
        self.markers = policy.mode == .enforce ? markers : nil
    }

    /// An operation that is guarded twice: the outer guard records and marks its answer.
    init(within context: IdempotencyContext, runner: Idempotency, policy: IdempotencyPolicy) {
        self.context = context
        self.runner = runner
        self.lease = nil
        self.policy = policy
        self.markers = nil
    }

    /// The largest body to capture, in bytes; zero if the operation runs unprotected and nothing is recorded.
    public var captureLimit: Int { self.lease == nil ? 0 : self.policy.maxResponseBody }

    /// Whether another attempt has taken the key, so that the operation is to be cancelled.
    public var isCutOff: Bool { self.policy.mode == .enforce && self.lease?.live.isLost ?? false }

    /// Ends the operation with an answer of known length.
    ///
    /// It is stored before this returns, unless the layer only observes.
    ///
    /// - Parameters:
    ///   - head: Status and header fields of the answer.
    ///   - body: Its body.
    /// - Returns: The head to send, marked with what happened.
    public consuming func finish(_ head: HTTPResponse, body: CapturedBody) async -> HTTPResponse {
        guard let lease else { return self.marked(head, as: .unstored) }
        let ending = self.recording.ending(head, body: body)
        let settlement = await self.runner.settleUnlessObserving(lease, as: ending, policy: self.policy)
        return self.marked(head, as: settlement == .unstored ? .unstored : .new)
    }

    /// Goes on with an answer of unknown length, which is recorded while it is sent.
    ///
    /// - Parameter head: Status and header fields of the answer.
    /// - Returns: The head to send, and what to pass the body through; `nil` if it is not recorded.
    public consuming func stream(_ head: HTTPResponse) -> (head: HTTPResponse, recorder: StreamRecorder?) {
        guard let lease else { return (self.marked(head, as: .unstored), nil) }
        let recorder = StreamRecorder(
            runner: self.runner, lease: lease, head: head, recording: self.recording, policy: self.policy)
        return (self.marked(head, as: .new), recorder)
    }

    /// Ends an operation that was cancelled because another attempt has the key.
    ///
    /// - Returns: The answer to give: the other attempt is running.
    public consuming func cutOff() -> HTTPAnswer {
        self.lease?.end()
        var answer = IdempotencyProblem.takenOver.under(self.policy).answer
        self.markers?.mark(&answer.head.headerFields)
        return answer
    }

    private var recording: ResponseRecording { ResponseRecording(context: self.context, policy: self.policy) }

    private func marked(_ head: HTTPResponse, as status: IdempotencyStatus) -> HTTPResponse {
        var head = head
        self.markers?.mark(&head.headerFields, as: status)
        return head
    }
}
