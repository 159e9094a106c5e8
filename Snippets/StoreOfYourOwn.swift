import Idemptx
import IdemptxTesting
import Synchronization
import Testing

/// A store over a dictionary.
///
/// The package brings the rules; the store adds a lock, a clock, and a place for the records.
final class DictionaryStore: TransactionalStore {
    private let records = Mutex<[StorageKey: IdempotencyRecord]>([:])
    private let now: @Sendable () -> Timestamp

    init<C: Clock<Duration>>(clock: C = ContinuousClock()) {
        let start = clock.now
        self.now = { Timestamp(milliseconds: Int64(start.duration(to: clock.now) / .milliseconds(1))) }
    }

    /// One atomic step: the record is read and changed under one lock.
    func transact<Result: Sendable>(
        _ key: StorageKey,
        priority: TransactionPriority,
        timeout: Duration?,
        _ step: @Sendable (inout IdempotencyRecord?, Timestamp) throws -> Result
    ) throws -> Result {
        try self.records.withLock { records in try step(&records[key], self.now()) }
    }
}

struct DictionaryStoreTests {
    @Test("The dictionary store keeps the laws of a store")
    func keepsTheLaws() async throws {
        try await StoreConformance { clock in DictionaryStore(clock: clock) }.runAll()
    }
}
