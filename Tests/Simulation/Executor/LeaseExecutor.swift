/// Where an engine of a simulation renews its leases: beside the pool, or, for a mutant, on it.
final class LeaseExecutor: TaskExecutor {
    let lane: Scheduler.Lane

    init(lane: Scheduler.Lane) {
        self.lane = lane
    }

    func enqueue(_ job: consuming ExecutorJob) {
        Scheduler.shared.enqueue(UnownedJob(job), on: self)
    }
}

extension LeaseExecutor {
    /// For all processes, and for good: a task does not keep its executor alive.
    static let leases = LeaseExecutor(lane: .leases)
    static let pool = LeaseExecutor(lane: .pool)
}
