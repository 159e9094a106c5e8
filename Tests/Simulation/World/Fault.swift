/// Something that goes wrong, and for how long.
struct Fault: Sendable {
    enum Kind: String, Hashable, Sendable, CaseIterable {
        /// A process ends, and another takes its place after a while.
        case crash
        /// A process stands still, clocks go on.
        case pause
        /// Handlers block the pool of a process.
        case blockedPool
        /// Nothing passes between a process and the store.
        case partition
        /// The store does not reply; what was sent meanwhile is done afterwards.
        case standStill
        /// The store has no room to write.
        case full
        /// The store forgets its last writes.
        case failover
        /// Some calls are refused at once.
        case refusedCalls
        /// Some requests to the store arrive late.
        case lateRequests
        /// Some replies of the store come late.
        case lateReplies
        case lostRequests
        case lostReplies
        /// Some calls are done twice.
        case repeatedCalls
        /// Some connections break; the store still gets to what was sent, later than to what comes by another connection.
        case resets
        /// An operator releases all keys whose outcome is unknown, now and at the end.
        case operatorReleases
    }

    let kind: Kind
    let slot: Int
    let at: Int
    let duration: Int
    /// How many of the messages it concerns.
    let perMille: Int
    /// How many writes are forgotten.
    let count: Int

    init(random: inout SeededRandom, slotCount: Int) {
        // Those that the engine has the most to do with come up more often.
        self.kind = random.pick(
            Kind.allCases.filter { $0 != .operatorReleases }
                + [.lateRequests, .lateRequests, .lateReplies, .lateReplies, .lostReplies, .lostReplies]
                + [.lostRequests, .lostRequests])
        self.slot = random.below(slotCount)
        self.at = random.below(9_000)
        self.duration = random.pick([300, 1_500, 4_000, 9_000])
        self.perMille = random.pick([150, 400, 1_000])
        self.count = random.in(1...4)
    }

    /// An operator who takes care of unknown outcomes.
    init(operatorWith random: inout SeededRandom) {
        self.kind = .operatorReleases
        self.slot = 0
        self.at = random.in(2_000...9_000)
        self.duration = random.pick([300, 1_500, 4_000])
        (self.perMille, self.count) = (0, 0)
    }

    /// Whether it lasts at a moment.
    func isActive(at moment: Moment) -> Bool {
        self.at <= moment.milliseconds && moment.milliseconds < min(self.at + self.duration, Plan.horizon)
    }
}
