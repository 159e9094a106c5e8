/// All that a seed says will happen, but for the order of jobs and the fate of single messages.
///
/// Its items have numbers, so that a failing plan can be made shorter by leaving some out.
struct Plan: Sendable {
    /// A part of a plan that can be left out.
    enum Item: Sendable {
        case request(PlannedRequest)
        case fault(Fault)
    }

    /// A client's wish, with its retries.
    struct PlannedRequest: Sendable {
        let subject: Int
        /// Requests of different variants have different fingerprints.
        let variant: Int
        let at: Int
        let slot: Int
        /// How long the client waits for a response.
        let timeout: Int
        /// Whether hanging up reaches the server.
        let cancels: Bool
        let retries: Int
        let gap: Int
        /// Whether retries go to another process.
        let moves: Bool
        /// Whether the client asks once more after it has a response.
        let doubts: Bool
    }

    let seed: UInt64
    let settings: Settings
    let subjects: [Subject]
    let slotCount: Int
    /// By number.
    let items: [(number: Int, item: Item)]
    /// Jobs run in the order in which they were enqueued.
    var isInOrder = false

    /// When clients and faults end.
    static let horizon = 14_000

    /// - Parameters:
    ///   - seed: Any number.
    ///   - omitted: The numbers of items that are left out.
    init(seed: UInt64, omitting omitted: Set<Int> = []) {
        var random = SeededRandom(seed, 0xA11)
        self.seed = seed
        self.settings = Settings(random: &random)
        self.slotCount = random.in(1...3)
        var subjects: [Subject] = []
        for _ in 0..<random.in(1...3) {
            let subject = random.pick(Subject.all)
            if !subjects.contains(subject) { subjects.append(subject) }
        }
        self.subjects = subjects
        var items: [Item] = []
        for _ in 0..<random.in(3...8) {
            items.append(
                .request(PlannedRequest(random: &random, subjectCount: subjects.count, slotCount: self.slotCount)))
        }
        // Some worlds are calm.
        let faultCount = random.pick([0, 1, 1, 2, 2, 3, 4, 5])
        for _ in 0..<faultCount { items.append(.fault(Fault(random: &random, slotCount: self.slotCount))) }
        if random.chance(perMille: 200) { items.append(.fault(Fault(operatorWith: &random))) }
        self.items = items.enumerated().map { (number: $0.offset, item: $0.element) }.filter {
            !omitted.contains($0.number)
        }
    }

    var requests: [PlannedRequest] {
        self.items.compactMap { if case .request(let request) = $0.item { request } else { nil } }
    }

    var faults: [Fault] {
        self.items.compactMap { if case .fault(let fault) = $0.item { fault } else { nil } }
    }
}

extension Plan.PlannedRequest {
    /// One that asks once, and waits for as long as it takes.
    init(asking subject: Int, variant: Int) {
        (self.subject, self.variant, self.at, self.slot) = (subject, variant, 0, 0)
        (self.timeout, self.cancels, self.retries, self.gap) = (200_000, false, 0, 0)
        (self.moves, self.doubts) = (false, false)
    }

    fileprivate init(random: inout SeededRandom, subjectCount: Int, slotCount: Int) {
        self.subject = random.chance(perMille: 600) ? 0 : random.below(subjectCount)
        self.variant = random.chance(perMille: 100) ? 1 : 0
        // Some at the same moment, as duplicates come.
        self.at = random.chance(perMille: 400) ? random.pick([0, 3_000]) : random.below(9_000)
        self.slot = random.below(slotCount)
        self.timeout = random.pick([300, 1_500, 6_000, 20_000])
        self.cancels = random.chance(perMille: 500)
        self.retries = random.in(0...4)
        self.gap = random.pick([50, 700, 3_000])
        self.moves = random.chance(perMille: 500)
        self.doubts = random.chance(perMille: 400)
    }
}
