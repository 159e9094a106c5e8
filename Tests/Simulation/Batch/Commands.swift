import Foundation
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
    ///   - goesOn: Whether a seed that fails is only named.
    ///   - mutantName: The mistake that is made; `nil` for none.
    /// - Returns: Whether all invariants held.
    public static func play(
        _ seeds: Range<UInt64>,
        demandsProgress: Bool,
        goesOn: Bool,
        mutantName: String?
    ) -> Bool {
        let mutant = mutantName.flatMap { Mutant(rawValue: $0) }
        var statistics = Statistics()
        var failures = 0
        for seed in seeds {
            let run = SeedRun(SeedRun.Selection(seed: seed), mutant: mutant)
            statistics.add(run)
            guard let violation = run.violations.first else { continue }
            failures += 1
            guard goesOn else {
                self.report(run, mutant: mutant)
                return false
            }
            self.say("VIOLATION: seed \(seed): \(violation.description)")
        }
        for line in statistics.lines { self.say(line) }
        let shortcomings = demandsProgress ? statistics.shortcomings : []
        for shortcoming in shortcomings { self.say("NO PROGRESS: \(shortcoming)") }
        return shortcomings.isEmpty && failures == 0
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
            self.say("\(seed) \(String(first.history.digest, radix: 16))")
            guard first.history.digest != second.history.digest else { continue }
            isSame = false
            let difference = zip(first.history.story, second.history.story).first { $0 != $1 }
            self.say("NOT THE SAME: seed \(seed): \(difference.map { "\($0.0) / \($0.1)" } ?? "one is longer")")
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
        let mutant = mutantName.flatMap { Mutant(rawValue: $0) }
        let run = SeedRun(selection, mutant: mutant)
        self.tell(run, mutant)
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
            let violation = run.violations.first { mutant.broken.isEmpty || mutant.broken.contains($0.invariant) }
            guard let violation else { continue }
            self.say("CAUGHT \(name): seed \(seed): \(violation.description)")
            return true
        }
        self.say("SURVIVED \(name)")
        return false
    }

    // MARK: Reports

    /// Says a line at once, so that it is there if the process is ended.
    private static func say(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }

    private static func report(_ run: SeedRun, mutant: Mutant?) {
        guard let violation = run.violations.first else { return }
        self.say("VIOLATION: seed \(run.selection.seed): \(violation.description)")
        self.tell(Shrinker(mutant: mutant, invariant: violation.invariant).shortest(run), mutant)
    }

    private static func tell(_ run: SeedRun, _ mutant: Mutant?) {
        self.say("settings: \(run.plan.settings)")
        for (index, subject) in run.plan.subjects.enumerated() { self.say("subject \(index): \(subject)") }
        for item in run.plan.items { self.say("item \(item.number): \(item.item)") }
        for line in run.history.story { self.say(line) }
        for violation in run.violations { self.say("VIOLATION: \(violation.description)") }
        let omitted = run.selection.omitted.sorted().map(String.init).joined(separator: ",")
        self.say(
            "replay with: swift run idemptx-simulation replay \(run.selection.seed)"
                + (omitted.isEmpty ? "" : " --without \(omitted)") + (run.selection.isInOrder ? " --in-order" : "")
                + (mutant.map { " --mutant \($0.rawValue)" } ?? ""))
    }
}
