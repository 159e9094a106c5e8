import Idemptx
import IdemptxTesting
import TestSupport
import Testing

@Suite("The mode")
struct ModeTests {
    @Test("off runs everything and leaves the store alone")
    func off() async throws {
        let bench = Workbench { $0.mode = .off }
        #expect(try await bench.charge() == 1)
        #expect(try await bench.charge() == 2)
        #expect(bench.store.count(of: .claim) == 0)
    }

    @Test("off takes every key, also one that is none")
    func offTakesEveryKey() async throws {
        let bench = Workbench { $0.mode = .off }
        for key in ["", "null", "kö", String(repeating: "k", count: 300)] { _ = try await bench.charge(key) }
        #expect(bench.ledger.count == 4)
    }

    @Test("observe runs everything, and records what enforcing needs later")
    func observe() async throws {
        let bench = Workbench { $0.mode = .observe }
        #expect(try await bench.charge() == 1)
        #expect(try await bench.charge() == 2)
        // The caller does not wait for the outcome to be stored.
        try await eventually { bench.store.count(of: .complete) == 1 }
        bench.idempotency.policy.mode = .enforce
        try await eventually { await bench.problem { try await bench.charge() } == nil }
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

    @Test("observe runs everything while the store is broken, and asks it once", arguments: FaultyStore.Call.allCases)
    func observeWithoutStore(call: FaultyStore.Call) async throws {
        let bench = Workbench { $0.mode = .observe }
        bench.store.breakDown(at: call)
        // The clock stands still: a second try would wait for ever.
        #expect(try await bench.charge() == 1)
        #expect(try await bench.charge("k-2") == 2)
        try await eventually { bench.store.count(of: .claim) == 2 }
    }

    @Test("observe never waits for a store that hangs", .timeLimit(.minutes(1)))
    func observeHangingStore() async throws {
        let bench = Workbench { $0.mode = .observe }
        bench.store.standStill()
        // The clock stands still, too: nothing but the end of the operation can let these return.
        for entry in 1...50 { #expect(try await bench.charge("k-\(entry)") == entry) }
        bench.store.heal()
        // What was observed is recorded once the store is back.
        try await eventually { bench.store.count(of: .complete) == 50 }
    }

    @Test("observe cancels nothing, even if the lease is lost")
    func observeLoss() async throws {
        let bench = Workbench {
            $0.mode = .observe
            $0.lease = .seconds(30)
        }
        let gate = Gate()
        let running = try await bench.startCharge(until: gate) { context in
            context.onLeaseLoss { Issue.record("An observed operation is not told") }
            try Task.checkCancellation()
        }
        bench.store.breakDown(at: .renew)
        bench.clock.advance(by: .seconds(31))
        _ = try await bench.otherProcess { $0.mode = .enforce }.charge()
        let failed = bench.store.count(of: .renew)
        bench.store.heal()
        try await eventually {
            bench.clock.advance(by: .seconds(1))
            return bench.store.count(of: .renew) > failed
        }
        gate.open()
        #expect(try await running.value == 1)
    }

    @Test("can be switched while operations run, which end by the rules they started with")
    func switching() async throws {
        let bench = Workbench()
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        bench.idempotency.policy.mode = .off
        #expect(try await bench.charge() == 2)
        gate.open()
        #expect(try await running.value == 1)
        bench.idempotency.policy.mode = .enforce
        #expect(try await bench.charge() == 1)
    }
}
