/// Random numbers that are the same for the same seed: SplitMix64.
struct SeededRandom: Sendable {
    private var state: UInt64

    init(seed: UInt64) {
        self.state = seed
    }

    /// Numbers that depend on all of `parts`, and on nothing that was drawn before.
    init(_ parts: UInt64...) {
        var mixed = SeededRandom(seed: 0)
        for part in parts { mixed = SeededRandom(seed: mixed.next() ^ part) }
        self = mixed
        _ = self.next()
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to `limit`, without it.
    mutating func below(_ limit: Int) -> Int { Int(self.next() % UInt64(limit)) }

    mutating func `in`(_ range: ClosedRange<Int>) -> Int { range.lowerBound + self.below(range.count) }

    mutating func chance(perMille: Int) -> Bool { self.below(1000) < perMille }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[self.below(elements.count)] }
}
