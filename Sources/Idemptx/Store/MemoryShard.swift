import Synchronization

/// A part of a ``MemoryStore``: some records behind one lock.
///
/// A record has a slot for as long as it exists. Sweeps and listings go through the slots step by step, so that the
/// lock is never held for all records.
final class MemoryShard: Sendable {
    /// How many slots are looked at while the lock is held.
    private static let stride = 256

    private final class Entry {
        let key: StorageKey
        let slot: Int
        var record: IdempotencyRecord
        /// Where it stands among those without an outcome.
        var openIndex: Int?

        init(key: StorageKey, slot: Int, record: IdempotencyRecord) {
            self.key = key
            self.slot = slot
            self.record = record
        }
    }

    private struct Table {
        private(set) var entries: [StorageKey: Entry] = [:]
        private(set) var slots: [Entry?] = []
        private(set) var open: [Entry] = []
        private var freeSlots: [Int] = []
        private var hand = 0

        mutating func write(_ record: IdempotencyRecord, for key: StorageKey) {
            let entry = self.entries[key] ?? self.insert(record, for: key)
            entry.record = record
            if case .claimed = record.state { self.markOpen(entry) } else { self.markClosed(entry) }
        }

        private mutating func insert(_ record: IdempotencyRecord, for key: StorageKey) -> Entry {
            let slot = self.freeSlots.popLast() ?? self.slots.count
            let entry = Entry(key: key, slot: slot, record: record)
            if slot == self.slots.count { self.slots.append(entry) } else { self.slots[slot] = entry }
            self.entries[key] = entry
            return entry
        }

        mutating func remove(_ key: StorageKey) {
            guard let entry = self.entries.removeValue(forKey: key) else { return }
            self.markClosed(entry)
            self.slots[entry.slot] = nil
            self.freeSlots.append(entry.slot)
        }

        private mutating func markOpen(_ entry: Entry) {
            guard entry.openIndex == nil else { return }
            entry.openIndex = self.open.count
            self.open.append(entry)
        }

        private mutating func markClosed(_ entry: Entry) {
            guard let index = entry.openIndex else { return }
            entry.openIndex = nil
            let last = self.open.removeLast()
            guard last !== entry else { return }
            self.open[index] = last
            last.openIndex = index
        }

        /// Looks at the next slots, and removes what has expired.
        ///
        /// - Returns: How many records were removed.
        mutating func sweep(steps: Int, limit: Int, now: Timestamp) -> Int {
            var removed = 0
            for _ in 0..<min(steps, self.slots.count) where removed < limit {
                self.hand = self.hand + 1 < self.slots.count ? self.hand + 1 : 0
                guard let entry = self.slots[self.hand], entry.record.expires <= now else { continue }
                self.remove(entry.key)
                removed += 1
            }
            return removed
        }
    }

    private let table = Mutex(Table())

    /// Takes one step as an atomic one.
    ///
    /// Each write also looks at two other records, and removes those that have expired, so that memory does not grow
    /// without ``MemoryStore/run()``.
    func transact<Result: Sendable>(
        _ key: StorageKey,
        time: TimeSource,
        _ step: (inout IdempotencyRecord?, Timestamp) throws -> Result
    ) throws -> Result {
        try self.table.withLock { table in
            let now = time.now
            let stored = table.entries[key]?.record
            var record = stored
            let result = try step(&record, now)
            switch RecordChange(from: stored, to: record) {
            case .none: break
            case .write(let record):
                table.write(record, for: key)
                _ = table.sweep(steps: 2, limit: 2, now: now)
            case .remove: table.remove(key)
            }
            return result
        }
    }

    /// Deletes expired records, after one round at most.
    func sweepExpired(limit: Int, now: Timestamp) -> Int {
        var (swept, looked, count) = (0, 0, 0)
        repeat {
            let steps = Self.stride
            let (removed, slotCount) = self.table.withLock { table in
                (table.sweep(steps: steps, limit: limit - swept, now: now), table.slots.count)
            }
            (swept, looked, count) = (swept + removed, looked + steps, slotCount)
        } while swept < limit && looked < count
        return swept
    }

    /// Some of the records in a row of slots.
    ///
    /// - Returns: The records that have not expired, and the slot to go on with; `nil` if there is none.
    func summaries(from slot: Int, now: Timestamp) -> ([RecordSummary], next: Int?) {
        self.table.withLock { table in
            let end = min(slot + Self.stride, table.slots.count)
            guard slot < end else { return ([], nil) }
            let summaries = table.slots[slot..<end].compactMap { entry in
                entry.flatMap { RecordSummary(live: $0.record, key: $0.key, readAt: now) }
            }
            return (summaries, end < table.slots.count ? end : nil)
        }
    }

    /// The records whose outcome is unknown, without a look at the others.
    func unknownSummaries(now: Timestamp) -> [RecordSummary] {
        self.table.withLock { table in
            table.open.compactMap { RecordSummary(live: $0.record, key: $0.key, readAt: now) }
                .filter { $0.state == .unknown }
        }
    }
}

extension RecordSummary {
    /// `nil` if the record has expired.
    fileprivate init?(live record: IdempotencyRecord, key: StorageKey, readAt: Timestamp) {
        guard readAt < record.expires else { return nil }
        self.init(key: key, record: record, readAt: readAt)
    }
}
