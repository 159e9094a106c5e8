import Testing

@testable import LibPQ

@Suite("Calls that wait for a connection")
struct PendingQueueTests {
    /// Calls are told apart by their deadlines.
    private let now = ContinuousClock.now

    private func entry(_ number: Int, goesFirst: Bool = false) -> Entry {
        Entry(
            [EncodedStatement(own: "SELECT")], role: .alone, deadline: self.now + .seconds(number), goesFirst: goesFirst
        ) { _ in }
    }

    private func number(_ entry: Entry) -> Int { Int(self.now.duration(to: entry.deadline) / .seconds(1)) }

    private func drain(_ queue: inout PendingQueue) -> [Int] {
        var numbers: [Int] = []
        while let entry = queue.popFirst() { numbers.append(self.number(entry)) }
        return numbers
    }

    @Test("are taken in their order, those that go first before all others")
    func order() {
        var queue = PendingQueue(maximumCount: 100, maximumSize: 1 << 20)
        for number in 1...6 { #expect(queue.append(self.entry(number, goesFirst: number.isMultiple(of: 3)))) }
        #expect(queue.count == 6)
        #expect(queue.deadlines.min() == self.now + .seconds(1))
        #expect(self.drain(&queue) == [3, 6, 1, 2, 4, 5])
        #expect(queue.isEmpty)
    }

    @Test("have one bound, whether they go first or not")
    func bounds() throws {
        var few = PendingQueue(maximumCount: 2, maximumSize: 1 << 20)
        #expect(few.append(self.entry(1)))
        #expect(few.append(self.entry(2, goesFirst: true)))
        #expect(!few.append(self.entry(3, goesFirst: true)))
        #expect(self.drain(&few) == [2, 1])

        // Whatever its size, one has room in an empty queue.
        var small = PendingQueue(maximumCount: 100, maximumSize: 1)
        #expect(small.append(self.entry(1)))
        #expect(!small.append(self.entry(2, goesFirst: true)))
    }

    @Test("can leave, and make room")
    func leave() {
        var queue = PendingQueue(maximumCount: 4, maximumSize: 1 << 20)
        for number in 1...4 { #expect(queue.append(self.entry(number, goesFirst: number > 2))) }
        let gone = queue.removeAll { self.number($0).isMultiple(of: 2) }
        #expect(gone.map(self.number).sorted() == [2, 4])
        #expect(queue.append(self.entry(5)))
        #expect(self.drain(&queue) == [3, 1, 5])
    }
}
