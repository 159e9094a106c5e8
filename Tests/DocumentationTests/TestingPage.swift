import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxTesting
import NIOCore
import Synchronization
import Testing

final class MyStore: TransactionalStore {
    private let records = Mutex<[StorageKey: IdempotencyRecord]>([:])
    private let now: @Sendable () -> Timestamp

    init<C: Clock<Duration>>(clock: C) {
        let start = clock.now
        self.now = { Timestamp(milliseconds: Int64(start.duration(to: clock.now) / .milliseconds(1))) }
    }

    func transact<Result: Sendable>(
        _ key: StorageKey,
        priority: TransactionPriority,
        timeout: Duration?,
        _ step: @Sendable (inout IdempotencyRecord?, Timestamp) throws -> Result
    ) throws -> Result {
        try self.records.withLock { records in try step(&records[key], self.now()) }
    }
}

@Suite("The examples of the documentation")
struct TestingPage {
    @Test func keepsTheLaws() async throws {
        try await StoreConformance { clock in MyStore(clock: clock) }.runAll()
    }

    static func faults() -> FaultyStore {
        let store = FaultyStore(MemoryStore())
        store.inject(.losesReply, at: .complete)
        return store
    }

    static func replay(client: some TestClientProtocol, order: ByteBuffer) async throws {
        let again = try await client.execute(uri: "/orders", idempotencyKey: "k-1", body: order)
        #expect(again.isReplay)
    }
}
