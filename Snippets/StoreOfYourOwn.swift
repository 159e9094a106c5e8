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

    /// One atomic step: what stands there is read, and what becomes of it is written, under one lock.
    func transact<Result: Sendable>(
        _ key: StorageKey,
        priority: TransactionPriority,
        timeout: Duration?,
        _ step: @Sendable (IdempotencyRecord?, Timestamp) throws -> Transition<Result>
    ) throws -> Result {
        try self.records.withLock { records in
            let transition = try step(records[key], self.now())
            transition.change.apply(to: &records[key])
            return transition.result
        }
    }
}

struct DictionaryStoreTests {
    @Test("The dictionary store keeps the laws of a store")
    func keepsTheLaws() async throws {
        try await StoreConformance { clock in DictionaryStore(clock: clock) }.runAll()
    }
}
