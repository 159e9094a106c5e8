/// What happens to a key whose owner let its lease end without a word: it crashed, or was cut off.
public enum AbandonedRule: String, Hashable, Sendable, CaseIterable {
    /// The next claim takes the key over and runs the operation again, with the next attempt number.
    case rerun
    /// Every claim is told that the outcome is unknown, until an operator or the late owner settles it.
    case refuse
}
