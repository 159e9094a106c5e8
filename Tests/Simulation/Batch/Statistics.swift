import Idemptx

/// What has happened in many simulations.
struct Statistics: Sendable {
    private(set) var runs = 0
    private(set) var events = 0
    private(set) var counts: [String: Int] = [:]
    private(set) var wishes = 0
    private(set) var grantedWishes = 0

    mutating func add(_ run: SeedRun) {
        self.runs += 1
        self.events += run.history.lines.count
        for (kind, count) in run.history.faults { self.counts["fault \(kind.rawValue)", default: 0] += count }
        let wishes = Dictionary(grouping: run.history.requests.filter { $0.wish >= 0 }) { $0.wish }
        self.wishes += wishes.count
        self.grantedWishes += wishes.values.count {
            $0.contains { $0.received != nil && $0.response?.isSuccess == true }
        }
        self.counts["rule \(run.plan.settings.rule.rawValue)", default: 0] += 1
        self.counts["executions", default: 0] += run.history.executions.count
        self.counts["recoveries", default: 0] += run.history.recoveries.count
        for request in run.history.requests {
            guard let response = request.response else { continue }
            if let marker = response.marker { self.counts["marked \(marker.rawValue)", default: 0] += 1 }
            if response.isSuccess { self.counts["success under \(run.plan.settings.rule.rawValue)", default: 0] += 1 }
            if let problem = response.problem { self.counts["refused \(problem.rawValue)", default: 0] += 1 }
            if response.isCut { self.counts["cut", default: 0] += 1 }
        }
        for event in run.history.storeEvents { self.counts["record \(event.kind.rawValue)", default: 0] += 1 }
    }

    mutating func add(_ other: Statistics) {
        self.runs += other.runs
        self.events += other.events
        self.wishes += other.wishes
        self.grantedWishes += other.grantedWishes
        self.counts.merge(other.counts) { $0 + $1 }
    }

    /// What should have happened and has not.
    var shortcomings: [String] {
        let expected =
            Fault.Kind.allCases.map { "fault \($0.rawValue)" } + [
                "success under rerun", "success under refuse", "success under recover", "recoveries", "marked new",
                "marked hit", "marked unstored",
                "refused request-in-progress", "refused outcome-unknown", "refused response-not-replayable",
                "refused key-reused", "refused store-unavailable", "record tookOver", "record forgotten", "cut",
            ]
        var found = expected.filter { self.counts[$0, default: 0] == 0 }.map { "\($0): never" }
        if self.grantedWishes * 2 < self.wishes {
            found.append("only \(self.grantedWishes) of \(self.wishes) clients got what they wanted")
        }
        return found
    }

    var lines: [String] {
        let success = "\(self.grantedWishes) of \(self.wishes) clients got what they wanted"
        let counts = self.counts.sorted { $0.key < $1.key }.map { "  \($0.key): \($0.value)" }
        return ["\(self.runs) seeds, \(self.events) events, \(success)"] + counts
    }
}
