/// Calls that wait for a connection: first those that go first, and the oldest first among equals.
struct PendingQueue {
    private var urgent: Lane
    private var others: Lane

    /// The bounds hold for each of both: who goes first is not kept out by others.
    init(maximumCount: Int, maximumSize: Int) {
        self.urgent = Lane(maximumCount: maximumCount, maximumSize: maximumSize)
        self.others = self.urgent
    }

    var count: Int { self.urgent.count + self.others.count }
    var isEmpty: Bool { self.urgent.isEmpty && self.others.isEmpty }
    var deadlines: some Sequence<ContinuousClock.Instant> {
        [self.urgent.entries, self.others.entries].joined().lazy.map(\.deadline)
    }

    /// - Returns: Whether there was room.
    mutating func append(_ entry: Entry) -> Bool {
        entry.goesFirst ? self.urgent.append(entry) : self.others.append(entry)
    }

    mutating func popFirst() -> Entry? {
        self.urgent.popFirst() ?? self.others.popFirst()
    }

    mutating func removeAll(where condition: (Entry) -> Bool) -> [Entry] {
        self.urgent.removeAll(where: condition) + self.others.removeAll(where: condition)
    }
}

/// Calls that are taken in the order in which they came.
private struct Lane {
    private let maximumCount: Int
    private let maximumSize: Int
    private var stored: [Entry] = []
    /// How many at the start of `stored` are gone.
    private var start = 0
    private var size = 0

    init(maximumCount: Int, maximumSize: Int) {
        self.maximumCount = maximumCount
        self.maximumSize = maximumSize
    }

    var count: Int { self.stored.count - self.start }
    var isEmpty: Bool { self.count == 0 }
    var entries: ArraySlice<Entry> { self.stored[self.start...] }

    mutating func append(_ entry: Entry) -> Bool {
        guard self.count < self.maximumCount, self.isEmpty || self.size + entry.size <= self.maximumSize else {
            return false
        }
        self.stored.append(entry)
        self.size += entry.size
        return true
    }

    mutating func popFirst() -> Entry? {
        guard let entry = self.entries.first else { return nil }
        self.start += 1
        self.size -= entry.size
        // The front half is moved away now and then, so that each entry is moved about once.
        if self.start * 2 >= self.stored.count {
            self.stored.removeFirst(self.start)
            self.start = 0
        }
        return entry
    }

    mutating func removeAll(where condition: (Entry) -> Bool) -> [Entry] {
        let (removed, kept) = self.entries.reduce(into: ([Entry](), [Entry]())) { parts, entry in
            if condition(entry) { parts.0.append(entry) } else { parts.1.append(entry) }
        }
        if removed.isEmpty { return [] }
        (self.stored, self.start) = (kept, 0)
        self.size = kept.reduce(0) { $0 + $1.size }
        return removed
    }
}
