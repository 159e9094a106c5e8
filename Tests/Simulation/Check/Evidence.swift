import Idemptx

/// A history, and what can be read off it.
struct Evidence {
    let plan: Plan
    let history: History.State
    let keys: [StorageKey?]
    /// The changes of each subject's record.
    private let events: [[StoreEvent]]

    var settings: Settings { self.plan.settings }

    init(_ plan: Plan, _ history: History.State) {
        self.plan = plan
        self.history = history
        self.keys = plan.subjects.map(\.storageKey)
        self.events = self.keys.map { key in history.storeEvents.filter { $0.key == key } }
    }

    func events(of subject: Int) -> [StoreEvent] { self.events[subject] }

    // MARK: Executions

    /// The claim that an execution runs under.
    func grant(of execution: Execution) -> StoreEvent? {
        self.events[execution.subject].last {
            $0.isGrant && $0.process == execution.process && $0.attempt == execution.attempt
                && $0.number < execution.changeCount
        }
    }

    /// From when on the lease of a claim may run out although its attempt goes on.
    func endOfRenewals(of grant: StoreEvent) -> Moment {
        self.settings.maxRunTime.map { grant.at + $0 } ?? .distantFuture
    }

    /// The moment at which another attempt gets the key that an execution runs under.
    func successor(of execution: Execution) -> StoreEvent? {
        guard let grant = self.grant(of: execution) else { return nil }
        return self.events[execution.subject].first {
            $0.isGrant && $0.owner != grant.owner && $0.number > grant.number
        }
    }

    /// What becomes of the key of an execution, by what was agreed.
    func disposition(of execution: Execution) -> Disposition {
        let end = execution.behaviour.end
        // A function has no status: what is none of its results is an error.
        let isError = self.plan.subjects[execution.subject].driver != .http && end.status >= 400
        return self.settings.disposition(of: isError ? .throwsError : end)
    }

    /// Whether it had freed its key by a moment.
    func isReleased(_ execution: Execution, by moment: Moment) -> Bool {
        guard let ended = execution.ended, ended <= moment else { return false }
        return self.disposition(of: execution) == .release
    }

    func isAlive(_ execution: Execution, at moment: Moment) -> Bool {
        if let cancelled = execution.cancelled, cancelled <= moment { return false }
        if let ended = execution.ended, ended <= moment { return false }
        return !self.isDead(execution.process, by: moment)
    }

    // MARK: Causes

    func isDead(_ process: Int, by moment: Moment) -> Bool {
        guard let died = self.history.processes[process]?.died else { return false }
        return died <= moment
    }

    /// Whether the store lost something of a subject in a span of time.
    func hasLoss(_ subject: Int, from: Moment, to: Moment) -> Bool {
        self.events[subject].contains { $0.kind == .forgotten && from <= $0.at && $0.at <= to }
    }

    /// Whether an operator released the key of a subject in a span of time.
    func isReleasedByOperator(_ subject: Int, from: Moment, to: Moment) -> Bool {
        self.events[subject].contains { $0.kind == .releasedByOperator && from <= $0.at && $0.at <= to }
    }

    /// Whether a process stood still, or its pool did.
    func isHeldUp(_ process: Int, from: Moment, to: Moment) -> Bool {
        self.hasFault([.pause, .blockedPool], process, from: from, to: to)
    }

    /// Whether anything was wrong between a process and the store, or with the process itself.
    ///
    /// A blocked pool is no excuse for a lost lease.
    func hasTrouble(_ process: Int, from: Moment, to: Moment) -> Bool {
        let kinds: [Fault.Kind] = [.pause, .partition, .standStill, .full]
        if self.hasFault(kinds, process, from: from, to: to) { return true }
        guard let slot = self.history.processes[process]?.slot else { return true }
        return self.history.harms.contains { $0.slot == slot && $0.from <= to && from <= $0.until }
    }

    private func hasFault(_ kinds: [Fault.Kind], _ process: Int, from: Moment, to: Moment) -> Bool {
        guard let slot = self.history.processes[process]?.slot else { return true }
        return self.plan.faults.contains { fault in
            let isNear = fault.slot == slot || [.standStill, .full].contains(fault.kind)
            let end = min(fault.at + fault.duration, Plan.horizon)
            return kinds.contains(fault.kind) && isNear && fault.at <= to.milliseconds && from.milliseconds <= end + 50
        }
    }

    /// Whether the record that `event` left behind had ceased to exist by a moment, by what was agreed.
    func hasExpired(after event: StoreEvent, by moment: Moment) -> Bool {
        let age = event.at.distance(to: moment)
        switch event.kind {
        case .completed, .released: return age >= self.settings.keyTTL
        case .granted, .tookOver, .renewed:
            if self.settings.rule == .rerun { return age >= max(self.settings.lease, self.settings.keyTTL) }
            guard let retention = self.settings.unresolvedRetention else { return false }
            let lease = event.leaseEnd.map { event.at.distance(to: $0) } ?? 0
            return age >= lease + retention
        case .forgotten, .releasedByOperator: return false
        }
    }
}

extension StoreEvent {
    var isGrant: Bool { self.kind == .granted || self.kind == .tookOver }
}
