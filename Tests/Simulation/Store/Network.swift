/// What happens to the messages between processes and the store.
///
/// The fate of a message depends on the seed, its process and its number alone, so that a plan from which something was
/// left out harms the same messages.
struct Network: Sendable {
    /// What happens to one call.
    struct Fate: Sendable {
        var requestDelay = 1
        var replyDelay = 1
        var repetitionDelay = 5
        var isRefused = false
        var isReset = false
        var losesRequest = false
        var losesReply = false
        var isRepeated = false

        /// For the history.
        var description: String {
            [
                self.isRefused ? "refused" : nil, self.isReset ? "reset" : nil,
                self.losesRequest ? "request lost" : nil,
                self.losesReply ? "reply lost" : nil, self.isRepeated ? "repeated" : nil,
                self.requestDelay > 10 ? "arrives after \(self.requestDelay) ms" : nil,
                self.replyDelay > 10 ? "replied after \(self.replyDelay) ms" : nil,
            ].compactMap(\.self).joined(separator: ", ")
        }

        var isHarmed: Bool { !self.description.isEmpty }
    }

    private let seed: UInt64
    private let faults: [Fault]
    private let history: History

    init(plan: Plan, history: History) {
        self.seed = plan.seed
        self.faults = plan.faults
        self.history = history
    }

    func fate(of call: UInt64, process: Int, slot: Int, at moment: Moment) -> Fate {
        var random = SeededRandom(self.seed, UInt64(process), call)
        var fate = Fate()
        fate.requestDelay = random.in(0...4)
        fate.replyDelay = random.in(0...4)
        for fault in self.faults where fault.isActive(at: moment) && (fault.slot == slot || fault.kind == .standStill) {
            guard random.chance(perMille: fault.perMille) || fault.kind == .partition else { continue }
            switch fault.kind {
            case .partition, .lostRequests: fate.losesRequest = true
            case .refusedCalls: fate.isRefused = true
            case .lostReplies: fate.losesReply = true
            case .lateRequests: fate.requestDelay = random.pick([100, 1_200, 2_500, 7_000])
            case .lateReplies: fate.replyDelay = random.pick([100, 1_700, 3_200, 7_000])
            case .repeatedCalls:
                fate.isRepeated = true
                fate.repetitionDelay = random.pick([1, 30, 400])
            case .resets:
                fate.isReset = true
                fate.requestDelay = random.pick([30, 400, 1_200])
            case .crash, .pause, .blockedPool, .standStill, .full, .failover, .operatorReleases: continue
            }
            self.history.happened(fault.kind)
            self.history.harmed(slot: slot, from: moment, until: moment + max(fate.requestDelay + fate.replyDelay, 500))
        }
        return fate
    }

    /// Whether nothing passes between a process and the store.
    func isCut(_ slot: Int, at moment: Moment) -> Bool {
        self.faults.contains { $0.kind == .partition && $0.slot == slot && $0.isActive(at: moment) }
    }
}
