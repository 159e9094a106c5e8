import HTTPTypes
import Synchronization

/// Makes the body of a streamed response, and records it while it is sent.
struct Recording: Sendable {
    /// Stores how the operation ended; the report comes early or late, and the end after it.
    typealias Conclude =
        @Sendable (
            Disposition, Outcome?, _ report: @escaping @Sendable (Conclusion) -> Void,
            _ atEnd: @escaping @Sendable (Conclusion) -> Void
        ) async -> Void

    /// The response cannot be stored, so that its end is withheld: the client must not take it for complete.
    struct NotStored: Error {}

    let head: HTTPResponse
    let context: IdempotencyContext
    let policy: SharedPolicy
    let recorder: StreamRecorder

    /// Makes all of the body, read or not, stores it, and then lets its end be sent.
    func run(
        _ produce: @escaping @Sendable (@escaping BodyWriter) async throws -> HTTPFields?,
        conclude: @escaping Conclude
    ) async {
        let overflow = Overflow()
        let write: BodyWriter = { bytes in
            if self.recorder.append(bytes) { await self.overflow(overflow, conclude) }
            try await self.recorder.waitForReader()
        }
        let result: Result<HTTPFields?, any Error>
        do {
            result = .success(
                try await IdempotencyContext.$current.withValue(self.context) { try await produce(write) })
        } catch {
            result = .failure(error)
        }
        if let isStored = overflow.isStored {
            return self.recorder.end(isStored ? result : .failure(NotStored()))
        }
        let (disposition, outcome) = self.policy.judge(
            self.head, self.recorder.body, isWhole: result.isWhole || self.recorder.hasStoppedProducer,
            in: self.context)
        await conclude(
            disposition, outcome,
            { conclusion in self.recorder.end(conclusion == .unstored ? .failure(NotStored()) : result) },
            { _ in })
    }

    /// Stores a tombstone at the moment that the body grows too large.
    ///
    /// A key that is freed must wait for the end: until then the operation is running.
    private func overflow(_ overflow: Overflow, _ conclude: @escaping Conclude) async {
        let disposition = self.context.disposition ?? self.policy.values.disposition(of: self.head)
        guard disposition == .keep || disposition == .tombstone else { return self.recorder.settle() }
        overflow.begin()
        let isReported = Handover<Void>()
        // Beside the body, which goes on even if the store is away.
        startTask {
            await conclude(
                .tombstone, .tombstone(Tombstone(of: self.head)),
                { conclusion in
                    // Before the body goes on, which may end at once.
                    if conclusion != .unstored { overflow.stored() }
                    isReported.fulfil(())
                },
                { conclusion in
                    // Perhaps it was stored later than reported.
                    if conclusion != .unstored { overflow.stored() }
                    self.recorder.settle()
                })
        }
        await isReported.value
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

extension SharedPolicy {
    /// What becomes of a key, and what is stored, by a streamed response; there is no body if it is too large.
    func judge(
        _ head: HTTPResponse,
        _ body: [UInt8]?,
        isWhole: Bool,
        in context: IdempotencyContext
    ) -> (Disposition, Outcome?) {
        guard isWhole else {
            // The operation may have had its effect. One that said that it had none is believed.
            switch context.disposition {
            case .release: return (.release, nil)
            case .unknown: return (.unknown, nil)
            case .keep, .tombstone, nil: return (.tombstone, .tombstone(Tombstone(status: 502)))
            }
        }
        return self.judge(head, body, in: context)
    }
}

extension Result {
    fileprivate var isWhole: Bool {
        if case .success = self { true } else { false }
    }
}
