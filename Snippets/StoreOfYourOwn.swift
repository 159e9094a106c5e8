import Idemptx
import IdemptxTesting
import Synchronization
import Testing

/// A store over a dictionary.
///
/// The rules are those of `RecordTransitions`; the store adds a lock, a clock, and a place for the records.
final class DictionaryStore: TransactionalStore {
    private let records = Mutex<[StorageKey: IdempotencyRecord]>([:])
    private let hub = ChangeHub()
    private let time: TimeSource

    init(clock: some Clock<Duration> = ContinuousClock()) {
        self.time = TimeSource(clock)
    }

    /// One atomic step: what stands there is read, and what becomes of it is written, under one lock.
    func transact<Result: Sendable>(
        _ key: StorageKey,
        priority: TransactionPriority,
        timeout: Duration?,
        _ step: @Sendable (IdempotencyRecord?, Timestamp) throws -> Transition<Result>
    ) throws -> Result {
        try self.records.withLock { records in
            let transition = try step(records[key], self.time.now)
            transition.change.apply(to: &records[key])
            return transition.result
        }
    }

    func announce(_ key: StorageKey) {
        self.hub.announce(key)
    }

    func changes(of key: StorageKey) -> AsyncStream<Void> {
        self.hub.changes(of: key)
    }
}

struct DictionaryStoreTests {
    @Test("The dictionary store keeps the laws of a store")
    func keepsTheLaws() async throws {
        try await StoreConformance { clock in DictionaryStore(clock: clock) }.runAll()
    }
}
