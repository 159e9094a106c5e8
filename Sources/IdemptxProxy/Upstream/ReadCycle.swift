/// Tells when what was asked of a channel has been answered.
///
/// A channel that is asked to read answers with any number of parts, and with the completion. Who asks again in the midst of
/// the parts asks for the next answer, so that the first part is what answers, and the completion only if there was none.
struct ReadCycle {
    private var hasPart = false

    /// - Returns: Whether this answers what was asked.
    mutating func partCame() -> Bool {
        defer { self.hasPart = true }
        return !self.hasPart
    }

    /// - Returns: Whether this answers what was asked.
    mutating func completed() -> Bool {
        defer { self.hasPart = false }
        return !self.hasPart
    }
}
