/// One simulation, from its seed to what the checker says.
public struct SeedRun: Sendable {
    /// What a replay needs to know.
    public struct Selection: Sendable {
        /// What the plan is made from.
        public var seed: UInt64
        /// The numbers of the items of the plan that are left out.
        public var omitted: Set<Int> = []
        /// Jobs run in the order in which they were enqueued.
        public var isInOrder = false

        /// Selects all of a seed.
        public init(seed: UInt64) {
            self.seed = seed
        }
    }

    /// What was played.
    public let selection: Selection
    let plan: Plan
    let history: History.State
    let violations: [Violation]

    /// Plays a seed.
    ///
    /// - Parameters:
    ///   - selection: The seed, and what of its plan is played.
    ///   - mutant: The mistake that is made; `nil` for none.
    init(_ selection: Selection, mutant: Mutant? = nil) {
        var plan = Plan(seed: selection.seed, omitting: selection.omitted)
        plan.isInOrder = selection.isInOrder
        let world = World(plan, mutant: mutant)
        self.selection = selection
        self.plan = plan
        self.history = world.play()
        self.violations = Checker(plan, self.history).violations()
    }
}
