import HTTPTypes
import Idemptx

/// Finds out what became of an attempt: by the ledger, as one asks a bank what was paid since the key was first claimed.
struct Recoverer: Sendable {
    struct CannotTell: Error {}

    let life: ProcessLife
    let plan: Plan
    let history: History

    func recover(_ unknown: UnknownOutcome) async throws -> Recovery {
        guard let subject = self.plan.subjects.indices.first(where: { self.isSubject($0, of: unknown) }) else {
            throw CannotTell()
        }
        let number = self.history.recoveryBegins(subject: subject, process: self.life.id)
        var random = SeededRandom(self.plan.seed, 0xCC, UInt64(number))
        do {
            try await self.life.sleep(milliseconds: random.pick([0, 10, 800]))
        } catch {
            self.history.recoveryEnds(number, .cancelled)
            throw error
        }
        if random.chance(perMille: 100) {
            self.history.recoveryEnds(number, .threw)
            throw CannotTell()
        }
        if random.chance(perMille: 100) {
            self.history.recoveryEnds(number, .refused)
            return .refuse
        }
        guard let execution = self.history.effect(of: subject, since: Moment(unknown.created)) else {
            self.history.recoveryEnds(number, .rerun)
            return .rerun
        }
        self.history.recoveryEnds(number, .completed(execution: execution.id))
        let receipt = Receipt(execution: execution.id, subject: execution.subject, variant: execution.variant)
        return .complete(
            with: .response(
                StoredResponse(
                    status: HTTPResponse.Status(code: execution.behaviour.end.status), body: receipt.body())))
    }

    /// The name for another service is derived from the storage key.
    private func isSubject(_ index: Int, of unknown: UnknownOutcome) -> Bool {
        self.plan.subjects[index].storageKey?.downstreamKey(for: "bank") == unknown.downstreamKey("bank")
    }
}
