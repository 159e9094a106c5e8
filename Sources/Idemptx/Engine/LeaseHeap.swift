/// Leases in the order of their dates: a binary heap whose entries know their place.
///
/// Adding, moving and removing a lease costs a time that grows with the logarithm of their number.
struct LeaseHeap {
    private struct Entry {
        var date: Timestamp
        let slot: Int
    }

    private struct Slot {
        var lease: Lease?
        /// `nil` if nothing is due for the lease.
        var index: Int?
    }

    private var entries: [Entry] = []
    private var slots: [Slot] = []
    private var freeSlots: [Int] = []

    var count: Int { self.slots.count - self.freeSlots.count }

    var firstDate: Timestamp? { self.entries.first?.date }

    /// Adds a lease.
    ///
    /// - Returns: Its slot.
    mutating func add(_ lease: Lease) -> Int {
        let slot: Int
        if let free = self.freeSlots.popLast() {
            slot = free
            self.slots[slot].lease = lease
        } else {
            slot = self.slots.count
            self.slots.append(Slot(lease: lease))
        }
        self.move(slot, to: lease.nextDate)
        return slot
    }

    mutating func remove(_ slot: Int) {
        self.move(slot, to: nil)
        self.slots[slot].lease = nil
        self.freeSlots.append(slot)
    }

    /// Gives a lease another date, or none.
    mutating func move(_ slot: Int, to date: Timestamp?) {
        switch (self.slots[slot].index, date) {
        case (nil, nil): break
        case (nil, let date?):
            self.slots[slot].index = self.entries.count
            self.entries.append(Entry(date: date, slot: slot))
            self.siftUp(self.entries.count - 1)
        case (let index?, let date?):
            self.entries[index].date = date
            self.siftUp(index)
            self.siftDown(index)
        case (let index?, nil):
            self.slots[slot].index = nil
            let last = self.entries.removeLast()
            guard index < self.entries.count else { return }
            self.place(last, at: index)
            self.siftUp(index)
            self.siftDown(index)
        }
    }

    /// The first lease, if its date has come.
    func firstDue(now: Timestamp) -> (slot: Int, lease: Lease)? {
        guard let first = self.entries.first, first.date <= now, let lease = self.slots[first.slot].lease else {
            return nil
        }
        return (first.slot, lease)
    }

    private mutating func place(_ entry: Entry, at index: Int) {
        self.entries[index] = entry
        self.slots[entry.slot].index = index
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        let entry = self.entries[index]
        while index > 0, entry.date < self.entries[(index - 1) / 2].date {
            self.place(self.entries[(index - 1) / 2], at: index)
            index = (index - 1) / 2
        }
        self.place(entry, at: index)
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        let entry = self.entries[index]
        while true {
            var child = 2 * index + 1
            guard child < self.entries.count else { break }
            if child + 1 < self.entries.count, self.entries[child + 1].date < self.entries[child].date { child += 1 }
            guard self.entries[child].date < entry.date else { break }
            self.place(self.entries[child], at: index)
            index = child
        }
        self.place(entry, at: index)
    }
}
