import HTTPTypes
import Synchronization

/// Records an answer of unknown length beside the connection that it flows to.
///
/// Pass each chunk to ``append(_:)`` as it comes, then call ``finish()`` **before** the end of the answer is sent: nobody
/// may hold a complete answer that is not stored. If the caller leaves, keep appending. If the answer breaks off, call
/// ``fail()`` and cut the connection. The calls come one after the other, from one task at a time.
public final class StreamRecorder: Sendable {
    /// The answer cannot be stored.
    ///
    /// Cut the connection, so that the caller does not take the answer for complete.
    public struct NotStored: Error, Sendable {}

    private enum State {
        case capturing([UInt8])
        /// The answer grew too large; what became of the claim, if that is settled already.
        case overflown(Settlement?)
        case ended
    }

    private let runner: Idempotency
    private let lease: HeldLease
    private let head: HTTPResponse
    private let recording: ResponseRecording
    private let policy: IdempotencyPolicy
    private let state = Mutex(State.capturing([]))

    init(
        runner: Idempotency,
        lease: HeldLease,
        head: HTTPResponse,
        recording: ResponseRecording,
        policy: IdempotencyPolicy
    ) {
        self.runner = runner
        self.lease = lease
        self.head = head
        self.recording = recording
        self.policy = policy
    }

    /// Records the next bytes.
    ///
    /// When the answer grows beyond the limit, what was captured is dropped and a tombstone stored before this returns.
    ///
    /// - Parameter chunk: Any number of bytes.
    /// - Returns: Whether there is more to record. If not, and the caller has left, nobody needs the rest.
    @discardableResult
    public func append(_ chunk: [UInt8]) async -> Bool {
        let isOverflowing = self.state.withLock { state in
            guard case .capturing(var bytes) = state else { return false }
            // Keeps the buffer unique, so that it grows in place.
            state = .ended
            bytes.append(contentsOf: chunk)
            let isOverflowing = bytes.count > self.policy.maxResponseBody
            state = .capturing(isOverflowing ? [] : bytes)
            return isOverflowing
        }
        if isOverflowing { await self.overflow() }
        return self.state.withLock { state in
            if case .overflown(_?) = state { return false }
            return true
        }
    }

    private func overflow() async {
        self.state.withLock { $0 = .overflown(nil) }
        // A key that is given back must wait for the end: until then the operation is running.
        guard case .complete = self.endingIfTooLarge else { return }
        let settlement = await self.runner.settle(
            self.lease, as: self.endingIfTooLarge, policy: self.policy, isFinal: false)
        // If the store failed, the lease is kept, and the end of the answer is the next chance.
        if settlement != .unstored { self.state.withLock { $0 = .overflown(settlement) } }
    }

    /// Stores the answer.
    ///
    /// Send its end only after this has returned.
    ///
    /// - Throws: ``NotStored`` if the answer could not be stored, unless the layer only observes.
    public func finish() async throws(NotStored) {
        let settlement =
            switch self.end() {
            case .capturing(let bytes): await self.settle(self.recording.ending(self.head, body: .bytes(bytes)))
            case .overflown(nil): await self.settle(self.endingIfTooLarge)
            case .overflown(let settlement?): settlement
            case .ended: Settlement.unstored
            }
        if settlement == .unstored && self.policy.mode == .enforce { throw NotStored() }
    }

    /// Stores that the answer broke off: a tombstone with status 502, since the operation may have had its effect.
    ///
    /// An answer that is settled already stays as it is. A handler that said that it had no effect is believed.
    public func fail() async {
        switch self.end() {
        case .capturing, .overflown(nil): await self.settle(self.recording.endingOfBrokenAnswer)
        case .overflown, .ended: break
        }
    }

    /// Binds the operation's context to the task, for code that makes the body after the handler has returned.
    ///
    /// - Parameter body: Produces the body.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws.
    @concurrent
    public func withContext<Value>(_ body: @concurrent () async throws -> Value) async rethrows -> Value {
        try await IdempotencyContext.$current.withValue(self.recording.context) { try await body() }
    }

    private func end() -> State {
        self.state.withLock { state in
            defer { state = .ended }
            return state
        }
    }

    private var endingIfTooLarge: Ending { self.recording.ending(self.head, body: .notCaptured) }

    @discardableResult
    private func settle(_ ending: Ending) async -> Settlement {
        await self.runner.settleUnlessObserving(self.lease, as: ending, policy: self.policy)
    }
}
