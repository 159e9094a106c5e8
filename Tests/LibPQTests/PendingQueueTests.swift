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

    /// - Returns: For how many there was room.
    private func append(_ entries: [Entry], to queue: inout PendingQueue) -> Int {
        entries.reduce(0) { count, entry in queue.append(entry) ? count + 1 : count }
    }

    private func drain(_ queue: inout PendingQueue) -> [Int] {
        var numbers: [Int] = []
        while let entry = queue.popFirst() { numbers.append(self.number(entry)) }
        return numbers
    }

    @Test("are taken in their order, those that go first before all others")
    func order() {
        var queue = PendingQueue(maximumCount: 100, maximumSize: 1 << 20)
        #expect(self.append((1...6).map { self.entry($0, goesFirst: $0.isMultiple(of: 3)) }, to: &queue) == 6)
        #expect(queue.count == 6)
        #expect(queue.deadlines.min() == self.now + .seconds(1))
        #expect(self.drain(&queue) == [3, 6, 1, 2, 4, 5])
        #expect(queue.isEmpty)
    }

    @Test("have a bound, which others do not use up for those that go first", arguments: [true, false])
    func bounds(goesFirst: Bool) {
        var few = PendingQueue(maximumCount: 2, maximumSize: 1 << 20)
        #expect(self.append((1...3).map { self.entry($0, goesFirst: goesFirst) }, to: &few) == 2)
        #expect(self.append((4...6).map { self.entry($0, goesFirst: !goesFirst) }, to: &few) == 2)
        #expect(self.drain(&few) == (goesFirst ? [1, 2, 4, 5] : [4, 5, 1, 2]))

        // Whatever its size, one has room among none.
        var small = PendingQueue(maximumCount: 100, maximumSize: 1)
        #expect(self.append((1...2).map { self.entry($0, goesFirst: goesFirst) }, to: &small) == 1)
        #expect(self.append([self.entry(3, goesFirst: !goesFirst)], to: &small) == 1)
    }

    @Test("can leave, and make room")
    func leave() {
        var queue = PendingQueue(maximumCount: 4, maximumSize: 1 << 20)
        #expect(self.append((1...4).map { self.entry($0, goesFirst: $0 > 2) }, to: &queue) == 4)
        let gone = queue.removeAll { self.number($0).isMultiple(of: 2) }
        #expect(gone.map(self.number).sorted() == [2, 4])
        #expect(self.append([self.entry(5)], to: &queue) == 1)
        #expect(self.drain(&queue) == [3, 1, 5])
    }
}
