import IdemptxTesting
import Synchronization
import Testing

// That the renewal of many leases costs little, and forgets none, does not show from outside.
@testable import Idemptx

@Suite("Leases in the order of their dates")
struct DateHeapTests {
    @Test(
        "are due in that order, whatever is added, moved and removed in between", arguments: UInt64(0)..<5
    )
    func order(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var heap = DateHeap<String, Int>()
        var dates: [Int: Int?] = [:]
        for number in 0..<500 {
            let date = Int.random(in: 1...1_000, using: &generator)
            switch Int.random(in: 0..<4, using: &generator) {
            case 0, 1:
                let slot = heap.add("\(number)", at: date)
                #expect(dates[slot] == nil, "A slot belongs to one element")
                dates[slot] = .some(date)
            case 2:
                guard let slot = dates.keys.sorted().randomElement(using: &generator) else { continue }
                let isDue = Bool.random(using: &generator)
                heap.move(slot, to: isDue ? date : nil)
                dates[slot] = .some(isDue ? date : nil)
            default:
                guard let slot = dates.keys.sorted().randomElement(using: &generator) else { continue }
                heap.remove(slot)
                dates[slot] = nil
            }
            #expect(heap.count == dates.count)
            #expect(heap.firstDate == dates.values.compactMap(\.self).min())
        }
        let expected = dates.values.compactMap(\.self).sorted()
        var due: [Int] = []
        while let date = heap.firstDate, let (slot, _) = heap.firstDue(now: 1_000) {
            due.append(date)
            #expect(dates[slot] == .some(date))
            heap.remove(slot)
        }
        #expect(due == expected)
    }

    @Test(
        "cost a number of comparisons per change that grows with the logarithm of their number, in whatever order they come",
        arguments: [100, 1_000, 10_000], ComingOrder.allCases)
    func logarithmicCost(count: Int, order: ComingOrder) throws {
        var generator = SeededGenerator(seed: 1)
        let comparisons = Counter()
        var heap = DateHeap<Int, CountedDate>()
        // Up to two comparisons at each level of the tree, on the way up or down, and the two that end it.
        let most = 2 * (Int.bitWidth - count.leadingZeroBitCount) + 2
        func change(_ change: () -> Void) {
            let before = comparisons.value
            change()
            #expect(comparisons.value - before <= most)
        }
        func date(_ number: Int) -> CountedDate {
            switch order {
            case .rising: CountedDate(value: number, comparisons)
            case .falling: CountedDate(value: -number, comparisons)
            case .random: CountedDate(value: Int.random(in: 0..<count, using: &generator), comparisons)
            }
        }
        var slots: [Int] = []
        for number in 0..<count { change { slots.append(heap.add(number, at: date(number))) } }
        for (number, slot) in slots.enumerated() { change { heap.move(slot, to: date(count + number)) } }
        for slot in slots.shuffled(using: &generator).prefix(count / 2) { change { heap.remove(slot) } }
        #expect(heap.count == count - count / 2)
        // A heap that compares nothing keeps no order.
        #expect(comparisons.value > count)
    }

    /// In what order dates come.
    enum ComingOrder: CaseIterable {
        case rising
        case falling
        case random
    }
}

private final class Counter: Sendable {
    private let state = Mutex(0)

    var value: Int { self.state.withLock { $0 } }

    func add() { self.state.withLock { $0 += 1 } }
}

/// A date that counts how often it is compared.
private struct CountedDate: Comparable {
    let value: Int
    private let comparisons: Counter

    init(value: Int, _ comparisons: Counter) {
        self.value = value
        self.comparisons = comparisons
    }

    static func == (lhs: CountedDate, rhs: CountedDate) -> Bool { lhs.value == rhs.value }

    static func < (lhs: CountedDate, rhs: CountedDate) -> Bool {
        lhs.comparisons.add()
        return lhs.value < rhs.value
    }
}
