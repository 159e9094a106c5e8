/// Makes a failing plan as short as it can be while it still fails in the same way.
struct Shrinker {
    let mutant: Mutant?
    let invariant: Invariant

    /// - Parameter run: One that breaks the invariant.
    /// - Returns: The shortest one found.
    func shortest(_ run: SeedRun) -> SeedRun {
        var best = run
        var selection = best.selection
        selection.isInOrder = true
        best = self.tries(selection) ?? best
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            for item in best.plan.items.reversed() {
                var selection = best.selection
                selection.omitted.insert(item.number)
                guard let shorter = self.tries(selection) else { continue }
                best = shorter
                hasChanged = true
            }
        }
        return best
    }

    private func tries(_ selection: SeedRun.Selection) -> SeedRun? {
        let run = SeedRun(selection, mutant: self.mutant)
        return run.violations.contains { $0.invariant == self.invariant } ? run : nil
    }
}
