import Logging

/// What the command does; prints what it finds.
public enum Commands {
    /// Prepares the process: nothing is logged.
    public static func prepare() {
        LoggingSystem.bootstrap { _ in SwiftLogNoOpLogHandler() }
        _ = Scheduler.shared
    }

    /// Plays many seeds.
    ///
    /// - Parameters:
    ///   - seeds: Which ones.
    ///   - demandsProgress: Whether each kind of fault and of response must have come up.
    /// - Returns: Whether all invariants held.
    public static func play(_ seeds: Range<UInt64>, demandsProgress: Bool) -> Bool {
        var statistics = Statistics()
        for seed in seeds {
            let run = SeedRun(SeedRun.Selection(seed: seed))
            statistics.add(run)
            guard run.violations.isEmpty else {
                self.report(run, mutant: nil)
                return false
            }
        }
        for line in statistics.lines { print(line) }
        let shortcomings = demandsProgress ? statistics.shortcomings : []
        for shortcoming in shortcomings { print("NO PROGRESS: \(shortcoming)") }
        return shortcomings.isEmpty
    }

    /// Plays seeds twice, and compares.
    ///
    /// - Parameter seeds: Which ones.
    /// - Returns: Whether every history was the same twice.
    public static func playTwice(_ seeds: Range<UInt64>) -> Bool {
        var isSame = true
        for seed in seeds {
            let selection = SeedRun.Selection(seed: seed)
            let (first, second) = (SeedRun(selection), SeedRun(selection))
            print("\(seed) \(String(first.digest, radix: 16))")
            guard first.digest != second.digest else { continue }
            isSame = false
            let difference = zip(first.story, second.story).first { $0 != $1 }
            print("NOT THE SAME: seed \(seed): \(difference.map { "\($0.0) / \($0.1)" } ?? "one is longer")")
        }
        return isSame
    }

    /// Plays one seed, and tells its history.
    ///
    /// - Parameters:
    ///   - selection: The seed, and what of its plan is played.
    ///   - mutantName: The mistake that is made; `nil` for none.
    /// - Returns: Whether all invariants held.
    public static func replay(_ selection: SeedRun.Selection, mutantName: String?) -> Bool {
        let run = SeedRun(selection, mutant: mutantName.flatMap { Mutant(rawValue: $0) })
        self.tell(run)
        return run.violations.isEmpty
    }

    /// The names of all mutants.
    public static var mutantNames: [String] { Mutant.allCases.map(\.rawValue) }

    /// Looks for the seed that finds a mutant.
    ///
    /// - Parameters:
    ///   - name: The mutant.
    ///   - seeds: Where to look.
    /// - Returns: Whether it was found.
    public static func hunt(_ name: String, in seeds: Range<UInt64>) -> Bool {
        guard let mutant = Mutant(rawValue: name) else { return false }
        for seed in seeds {
            let run = SeedRun(SeedRun.Selection(seed: seed), mutant: mutant)
            guard let violation = run.violations.first else { continue }
            print("CAUGHT \(name): seed \(seed): \(violation.description)")
            return true
        }
        print("SURVIVED \(name)")
        return false
    }

    // MARK: Reports

    private static func report(_ run: SeedRun, mutant: Mutant?) {
        guard let violation = run.violations.first else { return }
        print("VIOLATION: seed \(run.selection.seed): \(violation.description)")
        self.tell(Shrinker(mutant: mutant, invariant: violation.invariant).shortest(run))
    }

    private static func tell(_ run: SeedRun) {
        print("settings: \(run.plan.settings)")
        for (index, subject) in run.plan.subjects.enumerated() { print("subject \(index): \(subject)") }
        for item in run.plan.items { print("item \(item.number): \(item.item)") }
        for line in run.story { print(line) }
        for violation in run.violations { print("VIOLATION: \(violation.description)") }
        let omitted = run.selection.omitted.sorted().map(String.init).joined(separator: ",")
        print(
            "replay with: swift run idemptx-simulation replay \(run.selection.seed)"
                + (omitted.isEmpty ? "" : " --without \(omitted)") + (run.selection.isInOrder ? " --in-order" : ""))
    }
}
