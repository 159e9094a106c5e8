/// Calls that wait for a connection, the oldest first.
struct PendingQueue {
    private let maximumCount: Int
    private let maximumSize: Int
    private var entries: [Entry] = []
    /// How many at the start of `entries` are gone.
    private var start = 0
    private var size = 0

    init(maximumCount: Int, maximumSize: Int) {
        self.maximumCount = maximumCount
        self.maximumSize = maximumSize
    }

    var count: Int { self.entries.count - self.start }
    var isEmpty: Bool { self.count == 0 }
    var deadlines: some Sequence<ContinuousClock.Instant> { self.entries[self.start...].lazy.map(\.deadline) }

    /// - Returns: Whether there was room.
    mutating func append(_ entry: Entry) -> Bool {
        guard self.count < self.maximumCount, self.isEmpty || self.size + entry.size <= self.maximumSize else {
            return false
        }
        self.entries.append(entry)
        self.size += entry.size
        return true
    }

    mutating func popFirst() -> Entry? {
        guard self.start < self.entries.count else { return nil }
        let entry = self.entries[self.start]
        self.start += 1
        self.size -= entry.size
        // The front half is moved away now and then, so that each entry is moved about once.
        if self.start * 2 >= self.entries.count {
            self.entries.removeFirst(self.start)
            self.start = 0
        }
        return entry
    }

    mutating func removeAll(where condition: (Entry) -> Bool) -> [Entry] {
        let (removed, kept) = self.entries[self.start...].reduce(into: ([Entry](), [Entry]())) { parts, entry in
            if condition(entry) { parts.0.append(entry) } else { parts.1.append(entry) }
        }
        if removed.isEmpty { return [] }
        (self.entries, self.start) = (kept, 0)
        self.size = kept.reduce(0) { $0 + $1.size }
        return removed
    }
}
