import TestSupport
import Testing

// Who has come while a call is under way does not show from outside.
@testable import Idemptx

@Suite("Claims that arrive together")
struct ClaimCoalescerTests {
    @Test("wait once for others that hold the record")
    func busyRecord() async throws {
        let (coalescer, gate) = (ClaimCoalescer(), Gate())
        let request = ClaimRequest(key: StorageKey())
        @Sendable func claim() async throws {
            _ = try await coalescer.claim(request) { _ in
                await gate.pass()
                throw StoreError(recordBusy: "A test says so.")
            }
        }
        let first = Task { try await claim() }
        try await eventually("The first one asks the store") { gate.arrivals == 1 }
        // Runs at once until it waits for the first one.
        let second = Task.immediate { try await claim() }
        gate.open()
        for task in [first, second] {
            let error = await #expect(throws: StoreError.self) { try await task.value }
            #expect(error?.isRecordBusy == true)
        }
        #expect(gate.arrivals == 1)
    }
}
