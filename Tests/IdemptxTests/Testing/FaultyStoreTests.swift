import Idemptx
import IdemptxTesting
import Testing

@Suite("The store that fails on demand")
struct FaultyStoreTests {
    private let store = FaultyStore(MemoryStore())

    private struct DriverError: Error {}

    /// The code of the error that a claim throws; `nil` if it is answered.
    private func claimError(_ request: ClaimRequest) async -> StoreError.Code? {
        do {
            _ = try await self.store.claim(request)
            return nil
        } catch {
            return (error as? StoreError)?.code
        }
    }

    private func request() throws -> ClaimRequest {
        ClaimRequest(key: StorageKey(scope: .unscoped, key: try IdempotencyKey("k-1")))
    }

    @Test("keeps the laws of the store behind it as long as nothing is injected")
    func passes() async throws {
        try await StoreConformance { FaultyStore(MemoryStore(clock: $0)) }.runAll()
    }

    @Test("fails as often as it was told, in the order it was told, then works")
    func order() async throws {
        self.store.inject(.failsBefore, at: .claim, times: 2)
        self.store.inject(.losesReply, at: .claim)
        let request = try self.request()
        for code in [StoreError.Code.unavailable, .unavailable, .outcomeUnknown, nil] {
            #expect(await self.claimError(request) == code)
        }
        #expect(self.store.count(of: .claim) == 4)
        #expect(self.store.count(of: .release) == 0)
    }

    @Test("has or has not taken effect, as it was told")
    func effect() async throws {
        let other = try self.request()
        for (fault, isClaimed) in [(FaultyStore.Fault.failsBefore, false), (.losesReply, true)] {
            let store = FaultyStore(MemoryStore())
            store.inject(fault, at: .claim)
            await #expect(throws: StoreError.self) {
                if case .execute = try await store.claim(self.request()) {}
            }
            guard case .inProgress = try await store.claim(other) else {
                #expect(!isClaimed)
                continue
            }
            #expect(isClaimed)
        }
    }

    @Test("stays broken until it is healed")
    func heals() async throws {
        let request = try self.request()
        self.store.breakDown(.throwsError(StoreError(.misconfigured, "Broken.")), at: .claim)
        for _ in 0..<3 { #expect(await self.claimError(request) == .misconfigured) }
        self.store.inject(.failsBefore, at: .claim)
        self.store.heal()
        #expect(await self.claimError(request) == nil)
    }
}
