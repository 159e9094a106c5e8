/// Elements, such as leases, in the order of their dates: a binary heap whose entries know their place.
///
/// Adding, moving and removing an element costs a time that grows with the logarithm of their number.
struct DateHeap<Element, Date: Comparable> {
    private struct Entry {
        var date: Date
        let slot: Int
    }

    private struct Slot {
        var element: Element?
        /// `nil` if nothing is due for the element.
        var index: Int?
    }

    private var entries: [Entry] = []
    private var slots: [Slot] = []
    private var freeSlots: [Int] = []

    var count: Int { self.slots.count - self.freeSlots.count }

    var firstDate: Date? { self.entries.first?.date }

    /// Adds an element, for which nothing may be due.
    ///
    /// - Returns: Its slot.
    mutating func add(_ element: Element, at date: Date?) -> Int {
        let slot: Int
        if let free = self.freeSlots.popLast() {
            slot = free
            self.slots[slot].element = element
        } else {
            slot = self.slots.count
            self.slots.append(Slot(element: element))
        }
        self.move(slot, to: date)
        return slot
    }

    mutating func remove(_ slot: Int) {
        self.move(slot, to: nil)
        self.slots[slot].element = nil
        self.freeSlots.append(slot)
    }

    /// Gives an element another date, or none.
    mutating func move(_ slot: Int, to date: Date?) {
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

    /// The first element, if its date has come.
    func firstDue(now: Date) -> (slot: Int, element: Element)? {
        guard let first = self.entries.first, first.date <= now, let element = self.slots[first.slot].element else {
            return nil
        }
        return (first.slot, element)
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
