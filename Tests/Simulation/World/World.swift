import Idemptx
import Synchronization

/// Plays a plan: clients, processes and a store, from the first request until everything has come to rest.
final class World: Sendable {
    private struct State {
        /// The process in each slot, if one runs.
        var running: [SimulatedProcess?] = []
        var all: [SimulatedProcess] = []
    }

    let history = History()
    private let plan: Plan
    private let mutant: Mutant?
    private let server: StoreServer
    private let network: Network
    private let state = Mutex(State())

    init(_ plan: Plan, mutant: Mutant? = nil) {
        self.plan = plan
        self.mutant = mutant
        self.server = StoreServer(history: self.history, mutant: mutant)
        self.network = Network(plan: plan, history: self.history)
    }

    /// Plays the plan to its end.
    ///
    /// - Returns: What happened.
    func play() -> History.State {
        let scheduler = Scheduler.shared
        scheduler.reset(seed: self.plan.seed, isInOrder: self.plan.isInOrder)
        self.state.withLock { $0.running = Array(repeating: nil, count: self.plan.slotCount) }
        for slot in 0..<self.plan.slotCount { self.start(in: slot) }
        for fault in self.plan.faults { self.schedule(fault) }
        for (number, request) in self.plan.requests.enumerated() {
            let client = Client(wish: number, request, slotCount: self.plan.slotCount, world: self)
            scheduler.schedule(at: Moment(milliseconds: request.at)) { client.send() }
        }
        // The end of all faults, even if nothing is left to do before.
        scheduler.schedule(at: Moment(milliseconds: Plan.horizon)) {}
        _ = scheduler.run(until: Moment(milliseconds: Plan.horizon))
        scheduler.resumeAll()
        self.server.heal()
        self.comeToRest()
        // The last lease of a process that is gone may still run.
        scheduler.schedule(at: scheduler.now + self.plan.settings.lease + 100) {}
        self.comeToRest()
        self.askOnceMore()
        self.comeToRest()
        defer { self.clear() }
        return self.history.snapshot
    }

    private func comeToRest() {
        guard !Scheduler.shared.run(until: Scheduler.shared.now + 300_000) else { return }
        self.history.violate(.comesToRest, "Something still goes on five minutes after everything was healed.")
    }

    /// Asks for each operation that a client has asked for, from a process that knows nothing.
    private func askOnceMore() {
        let slot = 0
        if let process = self.process(in: slot) { self.stop(process, leaves: true) }
        self.start(in: slot)
        let requests = self.history.snapshot.requests
        for subject in self.plan.subjects.indices {
            guard let last = requests.last(where: { $0.subject == subject && $0.arrived != nil }) else { continue }
            let client = Client(asking: subject, variant: self.lastVariant(of: subject) ?? last.variant, world: self)
            client.send()
        }
    }

    /// The variant that ran last, which the record is of.
    private func lastVariant(of subject: Int) -> Int? {
        self.history.snapshot.executions.last { $0.subject == subject }?.variant
    }

    /// Frees what is left.
    private func clear() {
        for process in self.state.withLock({ $0.all }) {
            Scheduler.shared.revive(process.life.id)
            process.die()
        }
        Scheduler.shared.runJobs(atMost: 20_000)
        Scheduler.shared.dropTimers()
    }

    // MARK: Processes

    /// The process in a slot; `nil` if none runs.
    func process(in slot: Int) -> SimulatedProcess? { self.state.withLock { $0.running[slot] } }

    private func start(in slot: Int) {
        let id = self.state.withLock { $0.all.count + 1 }
        let process = SimulatedProcess(
            id: id, slot: slot, plan: self.plan, server: self.server, network: self.network, history: self.history,
            mutant: self.mutant)
        self.state.withLock { state in
            state.running[slot] = process
            state.all.append(process)
        }
    }

    /// Ends a process without a chance to do anything about it; one that `leaves` has nothing left to do.
    private func stop(_ process: SimulatedProcess, leaves: Bool = false) {
        Scheduler.shared.kill(process.life.id)
        self.state.withLock { $0.running[process.slot] = nil }
        if !leaves { self.history.dies(process.life.id) }
    }

    // MARK: Faults

    private func schedule(_ fault: Fault) {
        Scheduler.shared.schedule(at: Moment(milliseconds: fault.at)) { self.begin(fault) }
    }

    private func begin(_ fault: Fault) {
        let end = Scheduler.shared.now + fault.duration
        self.history.log(.goesWrong, fault.slot, fault.duration, fault.kind.rawValue, "")
        switch fault.kind {
        case .crash:
            guard let process = self.process(in: fault.slot) else { return }
            self.stop(process)
            let restart = min(end, Moment(milliseconds: Plan.horizon - 1))
            Scheduler.shared.schedule(at: restart) {
                if self.process(in: fault.slot) == nil { self.start(in: fault.slot) }
            }
        case .pause:
            guard let process = self.process(in: fault.slot) else { return }
            Scheduler.shared.pause(process.life.id, until: end)
        case .blockedPool:
            guard let process = self.process(in: fault.slot) else { return }
            Scheduler.shared.blockPool(of: process.life.id, until: end)
        case .standStill: self.server.standStill(until: end)
        case .full: self.server.fill(until: end)
        case .failover: self.server.forget(fault.count)
        case .operatorReleases:
            self.server.releaseUnknown()
            Scheduler.shared.schedule(at: end) { self.server.releaseUnknown() }
        case .partition, .refusedCalls, .lateRequests, .lateReplies, .lostRequests, .lostReplies, .repeatedCalls,
            .resets:
            // Counted when a message is harmed.
            return
        }
        self.history.happened(fault.kind)
    }
}
