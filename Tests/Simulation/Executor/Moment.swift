/// A moment of a simulation.
struct Moment: Hashable, Comparable, Sendable {
    /// The time since the beginning of the simulation, in milliseconds.
    var milliseconds: Int

    static let zero = Moment(milliseconds: 0)
    static let distantFuture = Moment(milliseconds: .max / 2)

    static func < (lhs: Moment, rhs: Moment) -> Bool { lhs.milliseconds < rhs.milliseconds }

    static func + (moment: Moment, milliseconds: Int) -> Moment {
        Moment(milliseconds: moment.milliseconds + milliseconds)
    }

    static func - (moment: Moment, milliseconds: Int) -> Moment { moment + -milliseconds }

    /// How many milliseconds it is from this moment until `other`.
    func distance(to other: Moment) -> Int { other.milliseconds - self.milliseconds }
}
