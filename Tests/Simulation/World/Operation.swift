import HTTPTypes
import Idemptx

/// What a simulated process guards: an operation with an effect.
struct Operation: Sendable {
    let life: ProcessLife
    let plan: Plan
    let server: StoreServer
    let history: History

    struct Result {
        let receipt: Receipt
        let parts: ResponseParts
    }

    /// Waits, has its effect, waits, and responds: as the seed says for the number of the execution.
    func run(
        _ request: Int,
        _ subject: Int,
        _ variant: Int,
        _ context: IdempotencyContext?
    ) async throws -> Result {
        let record = self.plan.subjects[subject].storageKey.flatMap { self.server.record(of: $0) }
        let isProtected = context?.isLeaseHeld ?? false
        let execution = self.history.begins { id, changeCount in
            var random = SeededRandom(self.plan.seed, 0xB0, UInt64(id))
            return Execution(
                id: id, request: request, subject: subject, variant: variant, process: self.life.id,
                attempt: context?.attempt ?? 0, behaviour: Behaviour(random: &random), started: Scheduler.shared.now,
                isProtected: isProtected, record: record, changeCount: changeCount)
        }
        let behaviour = execution.behaviour
        do {
            try await self.sleep(behaviour.before, behaviour)
            if behaviour.end.hasEffect { self.haveEffect(execution, context) }
            if !self.streams(execution) { try await self.sleep(behaviour.after, behaviour) }
        } catch {
            self.history.log(.ends, self.life.id, execution.id, "cancelled", "")
            self.history.change(execution: execution.id) { $0.cancelled = Scheduler.shared.now }
            throw error
        }
        return try self.end(execution, context)
    }

    /// Nobody asks a function for the pieces of its result.
    private func streams(_ execution: Execution) -> Bool {
        execution.behaviour.end == .streams && self.plan.subjects[execution.subject].driver == .http
    }

    private func sleep(_ milliseconds: Int, _ behaviour: Behaviour) async throws {
        guard milliseconds > 0 else { return }
        try await self.life.sleep(milliseconds: milliseconds, ignoringCancellation: !behaviour.isCancellable)
    }

    private func haveEffect(_ execution: Execution, _ context: IdempotencyContext?) {
        let isHeld = context?.isLeaseHeld ?? false
        let record = self.plan.subjects[execution.subject].storageKey.flatMap { self.server.record(of: $0) }
        self.history.log(.hasEffect, self.life.id, execution.id, "attempt \(execution.attempt)", "")
        self.history.change(execution: execution.id) { execution in
            execution.effect = Scheduler.shared.now
            // Its own claim cannot have ended: it is still running.
            execution.hadFalseLease = isHeld && record?.owner != execution.record?.owner
        }
    }

    private func end(_ execution: Execution, _ context: IdempotencyContext?) throws -> Result {
        let end = execution.behaviour.end
        let receipt = Receipt(execution: execution.id, subject: execution.subject, variant: execution.variant)
        switch end {
        case .releases: context?.release()
        case .marksUnknown: context?.markUnknown()
        case .leavesTombstone: context?.tombstone()
        case .throwsError:
            self.hasEnded(execution.id, end)
            throw OperationFailure(receipt: receipt)
        default: break
        }
        let head = HTTPResponse(status: HTTPResponse.Status(code: end.status))
        guard self.streams(execution) else {
            self.hasEnded(execution.id, end)
            let size = end == .succeedsAtLength ? Settings.maxResponseBody + 1 : 0
            return Result(
                receipt: receipt, parts: ResponseParts(head: head, body: .bytes(receipt.body(size: size))))
        }
        let body = receipt.body()
        return Result(
            receipt: receipt,
            parts: ResponseParts(
                head: head,
                body: .producer(length: nil) { write in
                    try await write(Array(body.prefix(10)))
                    try await self.sleep(execution.behaviour.after, execution.behaviour)
                    try await write(Array(body.dropFirst(10)))
                    self.hasEnded(execution.id, end)
                    return nil
                }))
    }

    private func hasEnded(_ execution: Int, _ end: Behaviour.End) {
        self.history.log(.ends, self.life.id, execution, "\(end)", "")
        self.history.change(execution: execution) { $0.ended = Scheduler.shared.now }
    }
}
