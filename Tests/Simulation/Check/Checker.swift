import Idemptx

/// Holds a history to all invariants.
struct Checker {
    let evidence: Evidence

    init(_ plan: Plan, _ history: History.State) {
        self.evidence = Evidence(plan, history)
    }

    /// What is broken, in the order of the invariants.
    func violations() -> [Violation] {
        var found = self.evidence.history.violations
        for execution in self.evidence.history.executions {
            found += self.check(start: execution) + self.check(course: execution)
        }
        for request in self.evidence.history.requests { found += self.check(request) }
        found += self.checkAcknowledgements() + self.checkRecoveries() + self.checkCrowds()
        return found
    }

    private func checkCrowds() -> [Violation] {
        let hasLoss = self.evidence.history.storeEvents.contains { $0.kind == .forgotten }
        return self.evidence.history.crowds.filter {
            !hasLoss && !self.evidence.hasTrouble($0.process, from: $0.at - 12_000, to: $0.at)
        }.map { crowd in
            Violation(
                invariant: .claimsAreShared, at: crowd.at,
                text: "process \(crowd.process) makes \(crowd.count) claims for one thing at a time")
        }
    }

    private func checkRecoveries() -> [Violation] {
        var found: [Violation] = []
        let history = self.evidence.history
        for (number, recovery) in history.recoveries.enumerated() {
            let end = min(recovery.ended ?? .distantFuture, self.endOfRenewals(of: recovery))
            let isExcused =
                self.evidence.isDead(recovery.process, by: end)
                || self.evidence.hasTrouble(
                    recovery.process, from: recovery.began - 2 * self.evidence.settings.lease, to: end)
                || self.evidence.hasLoss(recovery.subject, from: .zero, to: end)
            guard !isExcused else { continue }
            let isDoubled = history.recoveries.dropFirst(number + 1).contains {
                $0.subject == recovery.subject && $0.began < end
            }
            let isOverrun = history.executions.contains {
                $0.subject == recovery.subject && $0.isProtected && recovery.began < $0.started && $0.started < end
            }
            guard isDoubled || isOverrun else { continue }
            found.append(
                Violation(
                    invariant: .oneRecovery, at: recovery.began,
                    text: "subject \(recovery.subject) is \(isDoubled ? "recovered twice" : "run") during a recovery"))
        }
        return found
    }

    private func endOfRenewals(of recovery: RecoveryRecord) -> Moment {
        let grant = self.evidence.events(of: recovery.subject).last {
            $0.isGrant && $0.process == recovery.process && $0.at <= recovery.began
        }
        return grant.map(self.evidence.endOfRenewals) ?? .distantFuture
    }
}
