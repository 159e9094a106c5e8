import Testing

/// A simulation that finds nothing proves nothing: engines with one mistake each have to be caught.
@Suite("Mutants of the engine", .serialized, .enabled(if: SimulationProcess.isSupported))
struct MutantTests {
    /// What was found by hand in the first edition, before there was a simulation.
    static let faultsOfTheFirstEdition = [
        "retrierForgets": "a known outcome is thrown away",
        "ghostClaims": "a claim is granted that nobody waits for",
        "withdrawalNotRepeated": "a claim stays that nobody waits for",
        "unknownExpires": "an unknown outcome expires although the rule is to refuse",
        "startsUnderOldLease": "an attempt starts under a lease that is over",
        "attemptReset": "a fencing number repeats",
        "observingWaits": "a store that hangs slows what need not wait",
        "engineForEachRequest": "concurrent retries take the store away from all",
        "renewsOnPool": "handlers that block the pool block renewals",
        "refusedRenewalIsLast": "a renewal that is refused while the outcome is stored is never tried again",
    ]

    @Test("Each is caught within ten thousand seeds")
    func all() async throws {
        let names = try await SimulationProcess("mutants").lines
        #expect(names.count >= 40)
        for (name, fault) in Self.faultsOfTheFirstEdition { #expect(names.contains(name), "\(fault)") }
        async let first = SimulationProcess(
            ["hunt", "--count", "10000"] + names.enumerated().filter { $0.offset % 2 == 0 }.map(\.element))
        async let second = SimulationProcess(
            ["hunt", "--count", "10000"] + names.enumerated().filter { $0.offset % 2 == 1 }.map(\.element))
        let lines = try await first.lines + second.lines
        for name in names { #expect(lines.contains { $0.hasPrefix("CAUGHT \(name): seed ") }, "\(name) survives") }
    }
}
