public import Idemptx
public import Testing

/// The laws that every `IdempotencyStore` keeps, as tests.
///
/// ```swift
/// @Test func keepsTheLaws() async throws {
///     try await StoreConformance { clock in MyStore(clock: clock) }.runAll()
/// }
/// ```
///
/// Each law makes a store of its own and uses keys of its own, so that several stores may share one database. A
/// broken law records an issue of Swift Testing. If the store also conforms to `KeyInspecting` or `ExpirySweeping`, it
/// is held to those, too.
public struct StoreConformance: Sendable {
    /// How time passes for the store.
    public struct Pace: Sendable {
        /// The store uses the ``ManualClock`` that it is made with; the laws take no time.
        public static let manual = Pace(unit: .seconds(1), isManual: true)

        /// The store has a clock of its own, such as that of a server.
        ///
        /// - Parameter unit: How long the shortest step is. Leases last four units. A unit has to be long enough that
        ///   a few calls in a row fit into one; a law that gets out of step starts again, with a longer one.
        /// - Returns: A pace that waits for real.
        public static func realTime(unit: Duration = .milliseconds(150)) -> Pace {
            Pace(unit: unit, isManual: false)
        }

        let unit: Duration
        let isManual: Bool

        /// The pace for a machine that was too busy for this one.
        fileprivate var slower: Pace { Pace(unit: self.unit * 5 / 4, isManual: self.isManual) }
    }

    /// Makes a store, which uses the clock unless it has its own.
    public typealias MakeStore = @Sendable (ManualClock) async throws -> any IdempotencyStore

    private let pace: Pace
    private let makeStore: MakeStore
    private let maximumTrials = 10

    /// Creates the suite for one kind of store.
    ///
    /// - Parameters:
    ///   - pace: How time passes for the store.
    ///   - makeStore: Makes a store.
    public init(pace: Pace = .manual, makeStore: @escaping MakeStore) {
        self.pace = pace
        self.makeStore = makeStore
    }

    /// Runs every law, and random histories; with real time, all at once.
    ///
    /// - Parameters:
    ///   - seeds: The seeds of the random histories. With real time a history takes seconds.
    ///   - sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func runAll(
        seeds: Range<UInt64> = 0..<20,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let laws = self.laws + seeds.map(self.history)
        if self.pace.isManual {
            for law in laws { try await law(sourceLocation) }
        } else {
            // Each law has keys of its own, so that all of them may spend the same time.
            try await withThrowingTaskGroup(of: Void.self) { group in
                for law in laws { group.addTask { try await law(sourceLocation) } }
                try await group.waitForAll()
            }
        }
    }

    typealias Law = @Sendable (SourceLocation) async throws -> Void

    private var laws: [Law] {
        self.claimLaws + self.unknownOutcomeLaws + self.outcomeLaws + self.lifetimeLaws + self.operatorLaws + [
            { try await self.concurrentAttemptsExcludeEachOther(sourceLocation: $0) }
        ]
    }

    private func history(seed: UInt64) -> Law {
        let length = self.pace.isManual ? 150 : 40
        return { location in
            try await self.randomHistoryFollowsTheTransitions(seed: seed, length: length, sourceLocation: location)
        }
    }

    /// Holds a new store to a law.
    ///
    /// With real time, a machine can be too busy for a law to be judged: then the law starts again, with longer steps.
    ///
    /// - Parameters:
    ///   - sourceLocation: Where issues are recorded.
    ///   - tolerance: By how many units real time may be ahead of the law's steps.
    ///   - name: The name of the law.
    ///   - law: The law.
    /// - Throws: What the store throws.
    func judge(
        _ sourceLocation: SourceLocation,
        tolerance: Int = 1,
        name: String = #function,
        _ law: (Trial) async throws -> Void
    ) async throws {
        var pace = self.pace
        for _ in 1...self.maximumTrials {
            let clock = ManualClock()
            let store = try await self.makeStore(clock)
            if !pace.isManual { try await self.warmUp(store) }
            let time = Trial.Time(pace: pace, tolerance: tolerance, clock: clock)
            let trial = Trial(store: store, time: time, sourceLocation: sourceLocation)
            do {
                try await law(trial)
                try trial.time.check()
                return trial.report()
            } catch is Trial.OutOfStep {
                pace = pace.slower
            }
        }
        Issue.record(
            "The machine is too busy to judge \(name) in real time; use a longer unit", sourceLocation: sourceLocation)
    }

    /// Lets the store connect before time begins to count.
    private func warmUp(_ store: any IdempotencyStore) async throws {
        guard case .granted(let claim) = try await store.claim(ClaimRequest(key: .random())) else { return }
        _ = try await store.release(claim)
    }
}
