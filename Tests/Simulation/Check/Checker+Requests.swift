import Idemptx

/// What has to hold of requests and their responses.
extension Checker {
    func check(_ request: SentRequest) -> [Violation] {
        guard let arrived = request.arrived else { return [] }
        var found: [Violation] = []
        func violate(_ invariant: Invariant, _ text: String) {
            found.append(
                Violation(
                    invariant: invariant, at: request.responded ?? arrived, text: "request \(request.id) \(text)"))
        }
        guard let responded = request.responded, let response = request.response else {
            if !self.evidence.isDead(request.process, by: .distantFuture) {
                violate(.timelyResponse, "is never responded to")
            }
            return found
        }
        let executions = self.evidence.history.executions.filter { $0.request == request.id }
        if let problem = response.problem {
            self.check(problem, request, arrived, responded, executions, violate)
        } else if let receipt = response.receipt {
            self.check(receipt, response, request, responded, violate)
        }
        self.checkTime(request, arrived, responded, executions, violate)
        if request.wish < 0, executions.isEmpty, response.problem == .requestInProgress || response.status == 0 {
            violate(.noOrphans, "finds the key in progress, with no process that runs it")
        }
        if request.wish < 0, response.problem == .storeUnavailable {
            violate(.unavailableHasCause, "finds no store after everything was healed")
        }
        if request.wish < 0, response.problem == .outcomeUnknown, !self.mayBeUnknown(request) {
            violate(.noGhosts, "finds an unknown outcome, although nothing was left unknown")
        }
        return found
    }

    private func check(
        _ problem: IdempotencyProblem.Kind,
        _ request: SentRequest,
        _ arrived: Moment,
        _ responded: Moment,
        _ executions: [Execution],
        _ violate: (Invariant, String) -> Void
    ) {
        let evidence = self.evidence
        if let ran = executions.first, !(problem == .requestInProgress && ran.isCancelled) {
            violate(.refusedMeansNothingRan, "is refused with \(problem.rawValue), and execution \(ran.id) ran")
        }
        let hasTrouble = evidence.hasTrouble(request.process, from: arrived - 3_000, to: responded)
        func others(_ matches: (SentRequest) -> Bool) -> Bool {
            evidence.history.requests.contains {
                $0.id != request.id && $0.subject == request.subject && ($0.arrived ?? .distantFuture) <= responded
                    && matches($0)
            }
        }
        switch problem {
        case .storeUnavailable:
            if !hasTrouble { violate(.unavailableHasCause, "is told that there is no store, and nothing was wrong") }
        case .keyReused:
            if !others({ $0.variant != request.variant }) {
                violate(.mismatchIsRefused, "is refused, although nobody has asked for anything else")
            }
        case .requestInProgress:
            if executions.isEmpty, !others({ $0.variant == request.variant }) {
                violate(.mismatchIsRefused, "is told to wait for a different request")
            }
            let waited = arrived.distance(to: responded)
            if executions.isEmpty, waited < evidence.settings.waitTimeout - 10, !hasTrouble {
                violate(.waitersWait, "waits for \(waited) ms, and not for \(evidence.settings.waitTimeout) ms")
            }
        case .outcomeUnknown:
            if evidence.settings.rule == .rerun { violate(.knownResponses, "is told that an outcome is unknown") }
        case .responseNotReplayable:
            let hasTombstone = evidence.history.executions.contains {
                $0.subject == request.subject && self.mayLeaveTombstone($0)
            }
            if !hasTombstone { violate(.knownResponses, "is told of a tombstone that nothing has left") }
        default: violate(.knownResponses, "is refused with \(problem.rawValue)")
        }
    }

    func mayLeaveTombstone(_ execution: Execution) -> Bool {
        let isFunction = self.evidence.plan.subjects[execution.subject].driver != .http
        if self.evidence.settings.maxUnstoredBytes < 1_000 { return true }
        switch execution.behaviour.end {
        case .succeedsAtLength: return !isFunction
        case .leavesTombstone: return true
        case .streams: return execution.isCancelled
        case .fails, .throwsError, .isUnavailable, .isRefused: return isFunction
        case .succeeds, .releases, .marksUnknown: return execution.isCancelled
        }
    }

    private func check(
        _ receipt: Receipt,
        _ response: ClientResponse,
        _ request: SentRequest,
        _ responded: Moment,
        _ violate: (Invariant, String) -> Void
    ) {
        let history = self.evidence.history
        guard receipt.subject == request.subject, history.executions.indices.contains(receipt.execution),
            receipt.variant == request.variant || self.isMistakenByRecovery(receipt, by: responded)
        else {
            return violate(.ownResponse, "gets the response to another, of execution \(receipt.execution)")
        }
        let execution = history.executions[receipt.execution]
        let isFunction = self.evidence.plan.subjects[request.subject].driver != .http
        let end = execution.behaviour.end
        let status = isFunction ? (end.status < 400 ? 200 : 500) : end.status
        let isOwn = execution.request == request.id
        // A recovery says itself what it was.
        if response.status != status, isOwn || !self.wasRecovered(execution) {
            violate(.faithfulReplay, "gets \(response.status) instead of \(status)")
        }
        if let marker = response.marker, (marker == .hit) == isOwn {
            violate(.faithfulReplay, "gets a response marked \(marker.rawValue) of execution \(execution.id)")
        }
        if !isOwn, ![.keep].contains(self.evidence.disposition(of: execution)), !self.wasRecovered(execution) {
            violate(.faithfulReplay, "gets a replay of execution \(execution.id), which is not to be replayed")
        }
        let disposition = self.evidence.disposition(of: execution)
        guard isOwn, execution.isProtected, disposition == .keep || disposition == .tombstone, !response.isCut,
            let ended = execution.ended
        else { return }
        // The caller is let go at the try after which the next would be too late.
        let isQuick = ended.distance(to: responded) < self.evidence.settings.completionRetryTime - 1_050
        let hasLoss = self.evidence.hasLoss(execution.subject, from: execution.started, to: responded)
        guard response.marker == .new || (isFunction && isQuick && !hasLoss) else { return }
        let owner = self.evidence.grant(of: execution)?.owner
        let isStored = self.evidence.events(of: execution.subject).contains {
            $0.kind == .completed && $0.owner == owner && $0.at <= responded
        }
        if !isStored, self.evidence.successor(of: execution) == nil || !isFunction {
            violate(.storedBeforeSent, "gets a response before it is stored")
        }
    }

    /// Whether a recovery took an operation for another with the same key, which the store had forgotten, or which
    /// bypassed it: it knows no more than the key.
    private func isMistakenByRecovery(_ receipt: Receipt, by moment: Moment) -> Bool {
        let execution = self.evidence.history.executions[receipt.execution]
        return self.wasRecovered(execution)
            && (!execution.isProtected || self.evidence.hasLoss(receipt.subject, from: .zero, to: moment))
    }

    private func wasRecovered(_ execution: Execution) -> Bool {
        self.evidence.history.recoveries.contains { $0.result == .completed(execution: execution.id) }
    }

    private func checkTime(
        _ request: SentRequest,
        _ arrived: Moment,
        _ responded: Moment,
        _ executions: [Execution],
        _ violate: (Invariant, String) -> Void
    ) {
        let settings = self.evidence.settings
        guard !self.evidence.isHeldUp(request.process, from: arrived, to: responded) else { return }
        if let execution = executions.first {
            guard let ended = execution.ended, !execution.isCancelled else { return }
            let limit = settings.isObserving ? 10 : max(settings.completionRetryTime, 250) + 60
            if ended.distance(to: responded) > limit {
                violate(.timelyResponse, "waits for \(ended.distance(to: responded)) ms after its operation has ended")
            }
        } else {
            let claims = 6 * (settings.claimTimeout + settings.claimRetryTime + 1_000)
            let limit = settings.waitTimeout + claims + 2 * settings.completionRetryTime + 5_000
            if arrived.distance(to: responded) > limit {
                violate(.timelyResponse, "waits for \(arrived.distance(to: responded)) ms")
            }
        }
    }

    /// Whether something has been left unknown by whoever had the key last.
    private func mayBeUnknown(_ request: SentRequest) -> Bool {
        let evidence = self.evidence
        if evidence.settings.rule == .rerun { return false }
        if evidence.hasLoss(request.subject, from: .zero, to: .distantFuture) { return true }
        if evidence.settings.rule == .recover,
            evidence.history.recoveries.contains(where: {
                $0.subject == request.subject && [.refused, .threw].contains($0.result)
            })
        {
            return true
        }
        guard let last = evidence.events(of: request.subject).last(where: { $0.kind != .forgotten }) else {
            return false
        }
        if evidence.isDead(last.process, by: .distantFuture) { return true }
        return evidence.history.executions.contains {
            $0.subject == request.subject && $0.process == last.process && $0.attempt == last.attempt
                && evidence.disposition(of: $0) == .unknown
        }
    }
}
