import Idemptx
import IdemptxTesting
import TestSupport
import Testing

@Suite("The store that fails on demand")
struct FaultyStoreTests {
    private let store = FaultyStore(MemoryStore())

    private struct DriverError: Error {}

    /// The code of the error that a claim throws; `nil` if it has a result.
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
        for code in [StoreError.Code.unavailable, .unavailable, .replyLost, nil] {
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
                if case .granted = try await store.claim(self.request()) {}
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

    @Test("loses a request without a trace, and the caller cannot know")
    func losesRequest() async throws {
        self.store.inject(.losesRequest, at: .claim)
        #expect(await self.claimError(try self.request()) == .replyLost)
        guard case .granted = try await self.store.claim(self.request()) else {
            Issue.record("A lost request has no effect")
            return
        }
    }

    @Test("stands still until it is healed, and refuses claims that have become too late meanwhile")
    func standsStill() async throws {
        let clock = ManualClock()
        let store = FaultyStore(MemoryStore(clock: clock), clock: clock)
        store.standStill()
        var (patient, hurried) = (try self.request(), try self.request())
        patient.timeout = .seconds(20)
        hurried.timeout = .seconds(5)
        let late = Task { [hurried] in
            do {
                _ = try await store.claim(hurried)
                return nil as StoreError.Code?
            } catch {
                return (error as? StoreError)?.code
            }
        }
        try await eventually { store.count(of: .claim) == 1 }
        clock.advance(by: .seconds(10))
        store.heal()
        #expect(await late.value == .unavailable)
        guard case .granted = try await store.claim(patient) else {
            Issue.record("A late claim leaves nothing behind")
            return
        }
    }

    @Test("lets a call arrive after its caller has gone")
    func arrivesLate() async throws {
        let gate = Gate()
        self.store.inject(.arrivesLate { await gate.pass() }, at: .claim)
        #expect(await self.claimError(try self.request()) == .replyLost)
        #expect(self.store.lateCallCount == 1)
        gate.open()
        try await eventually { self.store.lateCallCount == 0 }
        guard case .inProgress = try await self.store.claim(self.request()) else {
            Issue.record("The late call took effect")
            return
        }
    }
}
