import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxTesting
import NIOCore
import Testing

typealias MyStore = MemoryStore

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
