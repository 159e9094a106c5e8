import Synchronization

/// A part of a ``MemoryStore``: some records behind one lock.
///
/// Records are kept in their binary form, which takes a fraction of the space of the decoded one.
final class MemoryShard: Sendable {
    private let table = Mutex<[StorageKey: [UInt8]]>([:])

    /// Runs one transition as an atomic step.
    func apply<Result>(
        _ key: StorageKey, _ transition: (IdempotencyRecord?) throws -> Transition<Result>
    ) throws -> Result {
        try self.table.withLock { table in
            let step = try transition(try table[key].map(RecordCodec.decode))
            switch step.change {
            case .none: break
            case .write(let record): table[key] = RecordCodec.encode(record)
            case .remove: table[key] = nil
            }
            return step.result
        }
    }

    func record(for key: StorageKey, now: Timestamp) throws -> IdempotencyRecord? {
        let bytes = self.table.withLock { $0[key] }
        return RecordTransitions.live(try bytes.map(RecordCodec.decode), now: now)
    }

    func summaries(now: Timestamp) -> [RecordSummary] {
        let records = self.table.withLock { $0 }
        return records.map { RecordSummary(key: $0, header: $1, readAt: now) }.filter { !$0.isExpired }
    }

    /// Deletes a record.
    ///
    /// - Returns: Whether there was one that had not expired.
    func remove(_ key: StorageKey, now: Timestamp) -> Bool {
        guard let bytes = self.table.withLock({ $0.removeValue(forKey: key) }) else { return false }
        return !Self.isExpired(bytes, now: now)
    }

    func sweepExpired(limit: Int, now: Timestamp) -> Int {
        self.table.withLock { table in
            let expired = table.lazy.filter { Self.isExpired($0.value, now: now) }.prefix(limit).map(\.key)
            let keys = Array(expired)
            for key in keys { table[key] = nil }
            return keys.count
        }
    }

    private static func isExpired(_ bytes: [UInt8], now: Timestamp) -> Bool {
        RecordCodec.expiry(of: bytes).map { $0 <= now } ?? true
    }
}
