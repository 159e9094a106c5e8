import Idemptx

/// What is acknowledged stays.
extension Checker {
    /// A response that was stored when it was sent.
    private struct Acknowledgement {
        let execution: Int
        let at: Moment
    }

    func checkAcknowledgements() -> [Violation] {
        guard !self.evidence.settings.isObserving else { return [] }
        return self.evidence.plan.subjects.indices.flatMap { subject in
            let requests = self.evidence.history.requests.filter { $0.subject == subject && $0.responded != nil }
            return requests.compactMap { self.acknowledgement(in: $0) }.flatMap { acknowledgement in
                requests.compactMap { self.violation(in: $0, after: acknowledgement) }
            }
        }
    }

    private func acknowledgement(in request: SentRequest) -> Acknowledgement? {
        guard let response = request.response, let receipt = response.receipt, let at = request.responded,
            !response.isCut, self.evidence.history.executions.indices.contains(receipt.execution)
        else { return nil }
        let execution = self.evidence.history.executions[receipt.execution]
        guard execution.isProtected else { return nil }
        let isOwn = execution.request == request.id
        guard !isOwn || (response.marker == .new && self.evidence.disposition(of: execution) == .keep) else {
            return nil
        }
        // A replay can come from the memory of a process that could not store it yet.
        guard isOwn || self.isStored(execution, by: at) else { return nil }
        return Acknowledgement(execution: execution.id, at: at)
    }

    /// Whether a process that the store does not reply to responds with an outcome of its own.
    private func respondsFromMemory(
        _ request: SentRequest,
        _ arrived: Moment,
        _ responded: Moment,
        _ response: ClientResponse
    ) -> Bool {
        let settings = self.evidence.settings
        // A store that has not replied is left alone for a second where it may be bypassed.
        let memory = settings.isBypassing ? settings.claimTimeout + settings.claimRetryTime + 1_000 : 0
        guard self.evidence.hasTrouble(request.process, from: arrived - memory, to: responded) else { return false }
        return self.evidence.history.executions.contains { execution in
            guard execution.process == request.process, execution.subject == request.subject, execution.ended != nil
            else { return false }
            if let receipt = response.receipt { return receipt.execution == execution.id }
            return response.problem == .responseNotReplayable && self.mayLeaveTombstone(execution)
        }
    }

    private func isStored(_ execution: Execution, by moment: Moment) -> Bool {
        self.evidence.events(of: execution.subject).contains {
            $0.kind == .completed && $0.receipt?.execution == execution.id && $0.at <= moment
        }
    }

    private func violation(in request: SentRequest, after acknowledgement: Acknowledgement) -> Violation? {
        guard let arrived = request.arrived, acknowledgement.at < arrived, let response = request.response,
            let responded = request.responded, response.status != 0
        else { return nil }
        let execution = self.evidence.history.executions[acknowledgement.execution]
        let owner = self.evidence.grant(of: execution)?.owner
        let stored = self.evidence.events(of: request.subject).last {
            $0.kind == .completed && ($0.receipt?.execution == execution.id || $0.owner == owner)
        }
        if let stored, self.evidence.hasExpired(after: stored, by: responded) { return nil }
        guard !self.evidence.hasLoss(request.subject, from: .zero, to: responded) else { return nil }
        if response.problem == .storeUnavailable { return nil }
        let isOther = request.variant != execution.variant
        if isOther, response.problem == .keyReused { return nil }
        if response.receipt?.execution == execution.id, !isOther { return nil }
        if self.respondsFromMemory(request, arrived, responded, response) { return nil }
        let runsUnprotected = self.evidence.history.executions.contains { $0.request == request.id && !$0.isProtected }
        if self.evidence.settings.isBypassing, runsUnprotected { return nil }
        if execution.behaviour.end == .succeedsAtLength, response.problem == .responseNotReplayable { return nil }
        if self.evidence.settings.maxUnstoredBytes < 1_000, response.problem == .responseNotReplayable { return nil }
        return Violation(
            invariant: .lastingAcknowledgement, at: responded,
            text: "request \(request.id) gets \(response.description) after execution \(execution.id) was acknowledged")
    }
}
