import Testing

/// The engine in a world whose time, network, store, processes and order of jobs are those of a seed.
@Suite("The simulation", .serialized, .enabled(if: SimulationProcess.isSupported))
struct SimulationTests {
    @Test("Ten thousand seeds break no invariant, and get something done")
    func seeds() async throws {
        async let first = SimulationProcess("play", "--from", "0", "--count", "5000", "--progress")
        async let second = SimulationProcess("play", "--from", "5000", "--count", "5000", "--progress")
        for process in try await [first, second] { #expect(process.status == 0, "\(process.tail)") }
    }

    /// Beyond the first ten thousand.
    @Test(
        "Seeds that once broke something do not",
        arguments: [10_672, 27_017, 37_442, 48_742, 54_515, 85_923, 90_638])
    func seed(_ seed: Int) async throws {
        let process = try await SimulationProcess("play", "--from", "\(seed)", "--count", "1")
        #expect(process.status == 0, "\(process.tail)")
    }

    @Test("The same seed is the same history, in one process and in two")
    func determinism() async throws {
        async let first = SimulationProcess("twice", "--count", "100")
        async let second = SimulationProcess("twice", "--count", "100")
        let processes = try await [first, second]
        for process in processes { #expect(process.status == 0, "\(process.tail)") }
        #expect(processes[0].lines.count == 100)
        #expect(processes[0].lines == processes[1].lines)
        #expect(Set(processes[0].lines.map { $0.split(separator: " ").last }).count == 100)
    }

    @Test("A failure tells its shortest history, and the command that replays it")
    func replay() async throws {
        let failure = try await SimulationProcess("play", "--count", "10000", "--mutant", "tombstoneRerun")
        #expect(failure.status != 0)
        let violation = try #require(failure.lines.first { $0.hasPrefix("VIOLATION: seed ") })
        let command = try #require(failure.lines.last { $0.contains("replay with: ") })
        let arguments = try #require(command.split(separator: "idemptx-simulation ").last).split(separator: " ")
        #expect(arguments.contains("--without"), "Nothing was left out: \(command)")
        let replay = try await SimulationProcess(arguments.map(String.init))
        #expect(replay.status != 0)
        let invariant = try #require(violation.split(separator: ": ").dropFirst(2).first)
        #expect(replay.lines.contains { $0.hasPrefix("VIOLATION: \(invariant): ") })
        #expect(
            replay.lines.filter { !$0.hasPrefix("VIOLATION") } == failure.lines.filter { !$0.hasPrefix("VIOLATION") })
    }
}
