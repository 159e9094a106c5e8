import ArgumentParser
import Simulation

/// The whole process belongs to the simulation, which decides when which job runs and what time it is.
@main
struct SimulationCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "idemptx-simulation",
        abstract: "Plays the engine in a simulated world, by seed.",
        subcommands: [Play.self, Twice.self, Replay.self, Hunt.self, Mutants.self])
}

extension SimulationCommand {
    /// Where a range of seeds begins and ends.
    struct Seeds: ParsableArguments {
        @Option(help: "The first seed.")
        var from: UInt64 = 0

        @Option(help: "How many seeds.")
        var count: UInt64 = 1_000

        var range: Range<UInt64> { self.from..<self.from + self.count }
    }

    struct Play: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Plays many seeds, and checks all invariants.")

        @OptionGroup var seeds: Seeds

        @Flag(help: "Fail as well if some kind of fault or response has never come up.")
        var progress = false

        @Flag(help: "Only name the seeds that fail, and go on.")
        var goOn = false

        @Option(help: "The mistake that is made.")
        var mutant: String?

        func run() throws {
            Commands.prepare()
            let hasHeld = Commands.play(
                self.seeds.range, demandsProgress: self.progress, goesOn: self.goOn, mutantName: self.mutant)
            guard hasHeld else { throw ExitCode.failure }
        }
    }

    struct Twice: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Plays seeds twice, and compares the histories.")

        @OptionGroup var seeds: Seeds

        func run() throws {
            Commands.prepare()
            guard Commands.playTwice(self.seeds.range) else { throw ExitCode.failure }
        }
    }

    struct Replay: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Plays one seed, and tells its history.")

        @Argument(help: "The seed.")
        var seed: UInt64

        @Option(help: "The numbers of what is left out of the plan, such as 2,5.")
        var without = ""

        @Flag(help: "Run jobs in the order in which they were enqueued.")
        var inOrder = false

        @Option(help: "The mistake that is made.")
        var mutant: String?

        func run() throws {
            Commands.prepare()
            var selection = SeedRun.Selection(seed: self.seed)
            selection.omitted = Set(self.without.split(separator: ",").compactMap { Int($0) })
            selection.isInOrder = self.inOrder
            guard Commands.replay(selection, mutantName: self.mutant) else { throw ExitCode.failure }
        }
    }

    struct Hunt: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Looks for the seeds that find mutants.")

        @OptionGroup var seeds: Seeds

        @Argument(help: "The mutants; all of them by default.")
        var mutants: [String] = []

        func run() throws {
            Commands.prepare()
            let names = self.mutants.isEmpty ? Commands.mutantNames : self.mutants
            let survivors = names.filter { !Commands.hunt($0, in: self.seeds.range) }
            guard survivors.isEmpty else { throw ExitCode.failure }
        }
    }

    struct Mutants: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the mutants.")

        func run() {
            for name in Commands.mutantNames { print(name) }
        }
    }
}
