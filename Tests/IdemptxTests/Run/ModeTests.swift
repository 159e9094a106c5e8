import Idemptx
import IdemptxTesting
import TestSupport
import Testing

@Suite("The mode of a runner")
struct ModeTests {
    @Test("off runs everything and leaves the store alone")
    func off() async throws {
        let bench = Workbench { $0.mode = .off }
        #expect(try await bench.charge() == 1)
        #expect(try await bench.charge() == 2)
        #expect(bench.store.count(of: .claim) == 0)
    }

    @Test("observe runs everything, and records what enforcing needs later")
    func observe() async throws {
        let bench = Workbench { $0.mode = .observe }
        #expect(try await bench.charge() == 1)
        #expect(try await bench.charge() == 2)
        bench.idempotency.mode = .enforce
        #expect(try await bench.charge() == 1)
        #expect(bench.ledger.count == 2)
    }

    @Test("observe does not wait for anybody")
    func observeDoesNotWait() async throws {
        let bench = Workbench {
            $0.mode = .observe
            $0.waitTimeout = .seconds(60)
        }
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        #expect(try await bench.charge() == 2)
        gate.open()
        _ = try await running.value
    }

    @Test("observe runs everything while the store is broken")
    func observeWithoutStore() async throws {
        let bench = Workbench {
            $0.mode = .observe
            $0.claimRetryTime = .zero
        }
        bench.store.breakDown(at: .claim)
        #expect(try await bench.charge() == 1)
        #expect(try await bench.charge() == 2)
    }

    @Test("can be switched while operations run, which end by the rules they started with")
    func switching() async throws {
        let bench = Workbench()
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        bench.idempotency.mode = .off
        #expect(try await bench.charge() == 2)
        gate.open()
        #expect(try await running.value == 1)
        bench.idempotency.mode = .enforce
        #expect(try await bench.charge() == 1)
    }
}
