import SimulationRuntime
import Synchronization

/// Runs all of Swift's concurrency in this process, one job at a time, in an order that the seed chooses.
///
/// Every job belongs to a simulated process: the one whose job, or whose event, enqueued it. The jobs of a process that
/// stands still wait, and those of one that is dead are never run. Time moves only when no job can run.
final class Scheduler: Sendable {
    /// Which threads a job needs.
    enum Lane: Int {
        /// The pool, which handlers share and may block.
        case pool
        /// The queue of the leases.
        case leases
    }

    /// Whether the jobs of a process may run.
    fileprivate struct OwnerState {
        var isDead = false
        var pausedUntil = Moment.zero
        var blockedUntil = Moment.zero

        func mayRun(_ lane: Lane, at now: Moment) -> Bool {
            guard !self.isDead, self.pausedUntil <= now else { return false }
            return lane == .leases || self.blockedUntil <= now
        }
    }

    fileprivate struct Job {
        let owner: Int
        let lane: Lane
        let run: Work
    }

    fileprivate enum Work {
        /// The address of a job.
        case pool(UInt)
        case task(UnownedJob, LeaseExecutor)
    }

    fileprivate struct Timer {
        let at: Moment
        let number: Int
        let action: @Sendable () -> Void
    }

    fileprivate struct State {
        var now = Moment.zero
        var owner = 0
        var jobs: [Job] = []
        /// The next one is the last.
        var timers: [Timer] = []
        var timerCount = 0
        var owners: [Int: OwnerState] = [:]
        var random = SeededRandom(seed: 0)
        var isInOrder = false
        var stepCount = 0
    }

    /// The only one, since Swift's runtime knows one hook per process.
    static let shared = Scheduler()

    /// Far more than any history has.
    private static let stepLimit = 100_000

    private let state = Mutex(State())

    private init() {
        unsafe simulation_begin { job in Scheduler.shared.enqueue(.pool(UInt(bitPattern: job)), lane: .pool) }
    }

    /// Begins anew at the origin of time.
    ///
    /// - Parameters:
    ///   - seed: Chooses the order of jobs, and all random numbers of the engine.
    ///   - isInOrder: Whether jobs run in the order in which they were enqueued.
    func reset(seed: UInt64, isInOrder: Bool) {
        simulation_seed(seed)
        self.state.withLock { state in
            state = State()
            state.random = SeededRandom(seed: seed ^ 0x5EED)
            state.isInOrder = isInOrder
        }
    }

    /// The present moment.
    var now: Moment { self.state.withLock { $0.now } }

    /// How many jobs and timers have run.
    var stepCount: Int { self.state.withLock { $0.stepCount } }

    // MARK: Owners

    /// Does something on behalf of a process: the jobs that it enqueues are that process's.
    func perform(as owner: Int, _ action: () -> Void) {
        let previous = self.state.withLock { state in
            defer { state.owner = owner }
            return state.owner
        }
        action()
        self.state.withLock { $0.owner = previous }
    }

    /// Lets a process run no more.
    func kill(_ owner: Int) {
        self.state.withLock { $0.owners[owner, default: OwnerState()].isDead = true }
    }

    /// Lets what is left of a dead process run, so that its memory is freed.
    func revive(_ owner: Int) {
        self.state.withLock { $0.owners[owner] = nil }
    }

    /// Lets a process stand still until a moment.
    func pause(_ owner: Int, until end: Moment) {
        self.state.withLock { $0.owners[owner, default: OwnerState()].pausedUntil = end }
        self.wake(at: end)
    }

    /// Lets the pool of a process stand still until a moment, as handlers do that block its threads.
    func blockPool(of owner: Int, until end: Moment) {
        self.state.withLock { $0.owners[owner, default: OwnerState()].blockedUntil = end }
        self.wake(at: end)
    }

    /// Makes time stop at the moment at which jobs can run again.
    private func wake(at moment: Moment) {
        self.schedule(at: moment) {}
    }

    /// Ends all pauses.
    func resumeAll() {
        self.state.withLock { state in
            for owner in state.owners.keys {
                state.owners[owner]?.pausedUntil = .zero
                state.owners[owner]?.blockedUntil = .zero
            }
        }
    }

    // MARK: Jobs and timers

    func enqueue(_ job: UnownedJob, on executor: LeaseExecutor) {
        self.enqueue(.task(job, executor), lane: executor.lane)
    }

    private func enqueue(_ work: Work, lane: Lane) {
        self.state.withLock { $0.jobs.append(Job(owner: $0.owner, lane: lane, run: work)) }
    }

    /// Calls `action` on behalf of the world at a moment, or as soon as no job can run.
    func schedule(at moment: Moment, _ action: @escaping @Sendable () -> Void) {
        self.state.withLock { state in
            state.timerCount += 1
            let timer = Timer(at: max(moment, state.now), number: state.timerCount, action: action)
            let index = state.timers.partitioningIndex { $0.at < timer.at || $0.at == timer.at }
            state.timers.insert(timer, at: index)
        }
    }

    /// Runs jobs and timers until there are none, or until `end`, or until it is clear that they never end.
    ///
    /// - Returns: Whether nothing is left to run.
    func run(until end: Moment) -> Bool {
        while self.stepCount < Self.stepLimit {
            if self.runJob() { continue }
            let next = self.state.withLock { state -> (@Sendable () -> Void, isOver: Bool)? in
                guard let timer = state.timers.last else { return nil }
                guard timer.at <= end else { return ({}, true) }
                state.timers.removeLast()
                state.now = timer.at
                state.stepCount += 1
                return (timer.action, false)
            }
            guard let next else { return true }
            if next.isOver { return false }
            next.0()
        }
        return false
    }

    /// Runs the jobs of all processes that can run, and no timer.
    func runJobs(atMost count: Int) {
        var left = count
        while left > 0, self.runJob() { left -= 1 }
    }

    /// Forgets all timers.
    func dropTimers() {
        self.state.withLock { $0.timers = [] }
    }

    private func runJob() -> Bool {
        let job = self.state.withLock { $0.takeJob() }
        guard let job else { return false }
        switch job.run {
        case .pool(let pointer): unsafe simulation_run(UnsafeMutableRawPointer(bitPattern: pointer))
        case .task(let job, let executor): unsafe job.runSynchronously(on: executor.asUnownedTaskExecutor())
        }
        self.state.withLock { $0.owner = 0 }
        return true
    }
}

extension Scheduler.State {
    fileprivate mutating func takeJob() -> Scheduler.Job? {
        guard !self.jobs.isEmpty else { return nil }
        let now = self.now
        let owners = self.owners
        func mayRun(_ job: Scheduler.Job) -> Bool { owners[job.owner]?.mayRun(job.lane, at: now) ?? true }
        let candidates =
            owners.isEmpty ? Array(self.jobs.indices) : self.jobs.indices.filter { mayRun(self.jobs[$0]) }
        guard !candidates.isEmpty else { return nil }
        let index = candidates[self.isInOrder ? 0 : self.random.below(candidates.count)]
        let job = self.jobs.remove(at: index)
        self.owner = job.owner
        self.stepCount += 1
        return job
    }
}

extension Array {
    /// The first index whose element, and all behind it, fulfil `predicate`, in an array that is ordered by it.
    fileprivate func partitioningIndex(_ predicate: (Element) -> Bool) -> Int {
        var (low, high) = (0, self.count)
        while low < high {
            let middle = (low + high) / 2
            if predicate(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
