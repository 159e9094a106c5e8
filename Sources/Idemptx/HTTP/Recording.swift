import HTTPTypes
import Synchronization

/// Makes the body of a streamed response, and records it while it is sent.
struct Recording: Sendable {
    /// Stores how the operation ended; the report comes early or late.
    typealias Conclude =
        @Sendable (
            Disposition, Outcome?, _ report: @escaping @Sendable (Conclusion) -> Void
        ) async -> Conclusion

    /// The response cannot be stored, so that its end is withheld: the client must not take it for complete.
    struct NotStored: Error {}

    let head: HTTPResponse
    let context: IdempotencyContext
    let policy: SharedPolicy
    let recorder: StreamRecorder

    /// Makes all of the body, read or not, stores it, and then lets its end be sent.
    func run(
        _ produce: @escaping @Sendable (BodySink) async throws -> HTTPFields?,
        conclude: @escaping Conclude
    ) async {
        let overflow = Overflow()
        let sink = BodySink { bytes in
            if self.recorder.append(bytes) { await self.overflow(overflow, conclude) }
            try await self.recorder.waitForReader()
        }
        let result: Result<HTTPFields?, any Error>
        do {
            result = .success(
                try await IdempotencyContext.$current.withValue(self.context) { try await produce(sink) })
        } catch {
            result = .failure(error)
        }
        if let isStored = overflow.isStored {
            return self.recorder.end(isStored || self.policy.mode == .observe ? result : .failure(NotStored()))
        }
        let (disposition, outcome) = self.judge(isWhole: result.isWhole)
        _ = await conclude(disposition, outcome) { conclusion in
            let isCut = conclusion == .unstored && self.policy.mode == .enforce
            self.recorder.end(isCut ? .failure(NotStored()) : result)
        }
    }

    /// Stores a tombstone at the moment that the body grows too large.
    ///
    /// A key that is freed must wait for the end: until then the operation is running.
    private func overflow(_ overflow: Overflow, _ conclude: @escaping Conclude) async {
        let disposition = self.context.disposition ?? self.policy.values.disposition(of: self.head)
        guard disposition == .keep || disposition == .tombstone else { return }
        overflow.begin()
        let isReported = Handover<Void>()
        // Beside the body, which goes on even if the store is away.
        startTask {
            let conclusion = await conclude(.tombstone, .tombstone(Tombstone(of: self.head))) { conclusion in
                // Before the body goes on, which may end at once.
                if conclusion != .unstored { overflow.stored() }
                isReported.fulfil(())
            }
            // Perhaps it was stored later than reported.
            if conclusion != .unstored { overflow.stored() }
            self.recorder.settle()
        }
        await isReported.value
    }

    private func judge(isWhole: Bool) -> (Disposition, Outcome?) {
        guard isWhole else {
            // The operation may have had its effect. One that said that it had none is believed.
            switch self.context.disposition {
            case .release: return (.release, nil)
            case .unknown: return (.unknown, nil)
            case .keep, .tombstone, nil: return (.tombstone, .tombstone(Tombstone(status: 502)))
            }
        }
        return self.policy.judge(self.head, self.recorder.body, in: self.context)
    }

    /// What became of the tombstone of a body that is too large; nothing if there is none.
    private final class Overflow: Sendable {
        private let state = Mutex<Bool?>(nil)

        var isStored: Bool? { self.state.withLock { $0 } }

        func begin() {
            self.state.withLock { $0 = false }
        }

        func stored() {
            self.state.withLock { $0 = true }
        }
    }
}

extension Result {
    fileprivate var isWhole: Bool {
        if case .success = self { true } else { false }
    }
}
