import Idemptx

/// What has to hold of executions.
extension Checker {
    func check(start execution: Execution) -> [Violation] {
        var found: [Violation] = []
        func violate(_ invariant: Invariant, _ text: String) {
            found.append(
                Violation(invariant: invariant, at: execution.started, text: "execution \(execution.id) \(text)"))
        }
        let (history, settings) = (self.evidence.history, self.evidence.settings)
        let request = history.requests[execution.request]
        let arrived = request.arrived ?? request.sent
        let hadLoss = self.evidence.hasLoss(execution.subject, from: arrived, to: execution.started)
        let mayBeUnprotected = settings.isObserving || settings.isBypassing
        if execution.isProtected || !mayBeUnprotected, !hadLoss {
            let leaseEnd = execution.record?.leaseEnd ?? .zero
            let grant = self.evidence.grant(of: execution)
            if !execution.isProtected || leaseEnd <= execution.started || grant == nil
                || execution.record?.owner != grant?.owner
            {
                violate(.startsUnderLease, "starts without a running lease of its own")
            }
        }
        if !execution.isProtected, mayBeUnprotected,
            !self.evidence.isHeldUp(execution.process, from: arrived, to: execution.started)
        {
            let limit = settings.isObserving ? 5 : 3 * (settings.claimTimeout + settings.claimRetryTime) + 100
            if arrived.distance(to: execution.started) > limit {
                violate(.observingIsFree, "waited for \(arrived.distance(to: execution.started)) ms")
            }
        }
        for earlier in history.executions[..<execution.id] where earlier.subject == execution.subject {
            if let violation = self.violation(of: execution, after: earlier) { found.append(violation) }
        }
        return found
    }

    /// What is wrong with an execution after an earlier one of the same subject.
    private func violation(of later: Execution, after earlier: Execution) -> Violation? {
        func violate(_ invariant: Invariant, _ text: String) -> Violation {
            Violation(
                invariant: invariant, at: later.started,
                text: "execution \(later.id) after execution \(earlier.id): \(text)")
        }
        let evidence = self.evidence
        // Unprotected operations are not recorded: that is the choice of whoever observes or bypasses.
        guard earlier.isProtected, later.isProtected else {
            guard !evidence.settings.isObserving else { return nil }
            let since = later.started - 15_000
            guard !evidence.settings.isBypassing || !evidence.hasTrouble(later.process, from: since, to: later.started),
                !evidence.settings.isBypassing || !evidence.hasTrouble(earlier.process, from: .zero, to: later.started)
            else { return nil }
            return violate(.oneExecution, "one of them runs unprotected, and nothing was wrong")
        }
        guard let grant = evidence.grant(of: earlier) else { return nil }
        // A grant that the store has forgotten may still be on its way.
        let firstGrant = min(grant.at, evidence.grant(of: later)?.at ?? grant.at)
        guard !evidence.hasLoss(later.subject, from: firstGrant, to: later.started) else { return nil }
        guard let successor = evidence.successor(of: earlier), successor.at <= later.started else {
            return violate(.oneExecution, "no other attempt has been granted the key")
        }
        if let expiry = self.lastEvent(before: successor), evidence.hasExpired(after: expiry, by: successor.at) {
            return nil
        }
        if evidence.isAlive(earlier, at: later.started), later.attempt <= earlier.attempt,
            !self.hasExpiredBetween(grant, later)
        {
            return violate(.growingAttempts, "attempt \(later.attempt) beside attempt \(earlier.attempt)")
        }
        guard !evidence.isReleased(earlier, by: later.started),
            !evidence.isReleasedByOperator(later.subject, from: grant.at, to: later.started)
        else { return nil }
        guard successor.kind == .tookOver else { return violate(.oneExecution, "its key was free") }
        if later.variant != earlier.variant, !self.hasExpiredBetween(grant, later) {
            return violate(.mismatchIsRefused, "a different request took over")
        }
        guard evidence.settings.rule != .refuse else { return violate(.noTakeover, "took over") }
        guard self.hasCause(successor, earlier) else {
            return violate(.oneExecution, "took over at \(successor.at.milliseconds) ms without a cause")
        }
        guard evidence.settings.rule == .recover, !self.hasExpiredBetween(grant, later) else { return nil }
        let isRecovered = evidence.history.recoveries.contains {
            $0.subject == later.subject && $0.result == .rerun && successor.at <= $0.began
                && ($0.ended ?? .distantFuture) <= later.started
        }
        return isRecovered ? nil : violate(.oneExecution, "took over without a recovery")
    }

    private func lastEvent(before event: StoreEvent) -> StoreEvent? {
        guard let subject = self.evidence.keys.firstIndex(of: event.key) else { return nil }
        let events = self.evidence.events(of: subject)
        return events.last { $0.number < event.number }
    }

    private func hasExpiredBetween(_ grant: StoreEvent, _ later: Execution) -> Bool {
        let events = self.evidence.events(of: later.subject).filter { grant.at <= $0.at && $0.at <= later.started }
        return zip(events, events.dropFirst()).contains { self.evidence.hasExpired(after: $0, by: $1.at) }
    }

    /// Whether there is a reason why the lease of an execution was over when another attempt took its key.
    private func hasCause(_ successor: StoreEvent, _ earlier: Execution) -> Bool {
        let (evidence, settings) = (self.evidence, self.evidence.settings)
        let events = evidence.events(of: earlier.subject)
        let owner = evidence.grant(of: earlier)?.owner
        let lastLease = events.last {
            $0.owner == owner && ($0.isGrant || $0.kind == .renewed) && $0.at <= successor.at
        }
        guard let leaseEnd = lastLease?.leaseEnd, leaseEnd <= successor.at else { return false }
        if let ended = earlier.ended, ended <= successor.at, evidence.disposition(of: earlier) == .unknown {
            return true
        }
        if evidence.isDead(earlier.process, by: successor.at) { return true }
        if let grant = evidence.grant(of: earlier), evidence.endOfRenewals(of: grant) <= successor.at { return true }
        return evidence.hasTrouble(earlier.process, from: successor.at - 2 * settings.lease - 1_000, to: successor.at)
    }

    func check(course execution: Execution) -> [Violation] {
        var found: [Violation] = []
        func violate(_ invariant: Invariant, _ text: String) {
            found.append(
                Violation(
                    invariant: invariant, at: execution.ended ?? execution.started,
                    text: "execution \(execution.id) \(text)"))
        }
        guard execution.isProtected, let grant = self.evidence.grant(of: execution) else { return [] }
        let end = Moment.distantFuture
        if execution.hadFalseLease,
            !self.evidence.hasLoss(execution.subject, from: grant.at, to: execution.effect ?? end)
        {
            violate(.knowsItsLease, "takes itself for the owner of a key that another has")
        }
        let isExcused =
            self.evidence.hasLoss(execution.subject, from: grant.at, to: end)
            || self.evidence.isReleasedByOperator(execution.subject, from: grant.at, to: end)
            || self.evidence.isDead(execution.process, by: end)
        guard !isExcused else { return found }
        let successor = self.evidence.successor(of: execution)
        if execution.isCancelled, successor == nil, !self.recordHadExpired(execution) {
            violate(.hangUpCancelsNothing, "is cancelled, although it has its key")
        }
        let disposition = self.evidence.disposition(of: execution)
        if execution.ended != nil, disposition == .keep || disposition == .tombstone, successor == nil {
            let isStored = self.evidence.events(of: execution.subject).contains {
                $0.kind == .completed && $0.owner == grant.owner
            }
            if !isStored { violate(.knownOutcomeIsKept, "has an outcome that is not stored") }
        }
        if let gap = self.longestGap(in: execution, since: grant) {
            let settings = self.evidence.settings
            let limit = settings.lease / 3 + settings.callTimeout + settings.claimTimeout + 200
            if gap > limit { violate(.leaseIsRenewed, "has a lease that is not renewed for \(gap) ms") }
        }
        return found
    }

    /// For how long no call to renew its lease begins while an execution runs or its outcome is being stored.
    private func longestGap(in execution: Execution, since grant: StoreEvent) -> Int? {
        guard self.evidence.settings.maxRunTime == nil, let ended = execution.ended else { return nil }
        let calls = self.evidence.history.calls.filter { $0.owner == grant.owner && $0.process == execution.process }
        let isStored = [.keep, .tombstone].contains(self.evidence.disposition(of: execution))
        let completed = calls.first { $0.name == "complete" && $0.replied != nil }?.replied
        guard !isStored || completed != nil else { return nil }
        let lost = calls.first { $0.name == "renew" && $0.isRefused && $0.began < ended }?.replied
        let end = min(isStored ? completed ?? ended : ended, lost ?? .distantFuture)
        guard !self.evidence.isHeldUp(execution.process, from: execution.started, to: end) else { return nil }
        let renewals = calls.filter { $0.name == "renew" && $0.began <= end }.map(\.began)
        let moments = [execution.started] + renewals + [end]
        return zip(moments, moments.dropFirst()).map { $0.distance(to: $1) }.max()
    }

    /// Whether the record of an execution expired while it ran.
    private func recordHadExpired(_ execution: Execution) -> Bool {
        guard let grant = self.evidence.grant(of: execution) else { return false }
        let last = self.evidence.events(of: execution.subject).last {
            $0.owner == grant.owner && ($0.isGrant || $0.kind == .renewed)
        }
        return last.map { self.evidence.hasExpired(after: $0, by: $0.at + 300_000) } ?? false
    }
}
