import HTTPTypes
import Idemptx
import IdemptxTesting
import TestSupport
import Testing

@Suite("The lease of a running operation")
struct LeaseTests {
    @Test("is kept alive for as long as the operation runs")
    func keptAlive() async throws {
        let bench = Workbench { $0.lease = .seconds(30) }
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        for renewals in 1...20 {
            await bench.clock.waitForSleepers()
            bench.clock.advance(by: .seconds(10))
            try await eventually { bench.store.count(of: .renew) == renewals }
            #expect(await bench.problem { try await bench.otherProcess().charge() }?.kind == .requestInProgress)
        }
        gate.open()
        #expect(try await running.value == 1)
        #expect(try await bench.charge() == 1)
        #expect(bench.ledger.count == 1)
    }

    @Test("is renewed by one loop for all operations")
    func oneLoop() async throws {
        let bench = Workbench()
        let gate = Gate()
        var running: [Task<Int, any Error>] = []
        for index in 0..<50 { running.append(try await bench.startCharge("k-\(index)", until: gate)) }
        await bench.clock.waitForSleepers()
        #expect(bench.clock.sleeperCount == 1)
        bench.clock.advance(by: .seconds(10))
        try await eventually { bench.store.count(of: .renew) == 50 }
        gate.open()
        for task in running { _ = try await task.value }
    }

    @Test("is renewed in time if it is shorter than those that are running already")
    func shorterLease() async throws {
        let bench = Workbench { $0.lease = .seconds(300) }
        let gate = Gate()
        let long = try await bench.startCharge("long", until: gate)
        await bench.clock.waitForSleepers()
        bench.idempotency.policy.lease = .seconds(3)
        let short = try await bench.startCharge("short", until: gate)
        for renewals in 1...5 {
            try await eventually {
                bench.clock.advance(by: .milliseconds(100))
                return bench.store.count(of: .renew) >= renewals
            }
        }
        #expect(await bench.problem { try await bench.otherProcess().charge("short") }?.kind == .requestInProgress)
        gate.open()
        _ = try await (long.value, short.value)
    }

    @Test("is no longer renewed once the operation has ended")
    func ends() async throws {
        let bench = Workbench()
        _ = try await bench.charge()
        bench.clock.advance(by: .seconds(3_600))
        try await eventually { bench.clock.sleeperCount == 0 }
        #expect(bench.store.count(of: .renew) == 0)
    }

    @Test("survives renewals that fail, if one gets through in time")
    func renewalsFail() async throws {
        let bench = Workbench { $0.lease = .seconds(30) }
        let gate = Gate()
        let running = try await bench.startCharge(until: gate) { context in #expect(context.isLeaseHeld) }
        bench.store.inject(.failsBefore, at: .renew, times: 3)
        // Three tries fail, ten, thirteen and sixteen seconds after the claim; the fourth is at nineteen.
        for renewals in 1...4 {
            try await eventually {
                bench.clock.advance(by: .milliseconds(100))
                return bench.store.count(of: .renew) >= renewals
            }
        }
        #expect(await bench.problem { try await bench.otherProcess().charge() }?.kind == .requestInProgress)
        gate.open()
        #expect(try await running.value == 1)
    }

    /// An attempt whose process is cut off from the store, until after its lease.
    private func cutOff(
        _ bench: Workbench, until gate: Gate,
        before end: @escaping @Sendable (IdempotencyContext) async throws -> Void
    ) async throws -> Task<Int, any Error> {
        let running = try await bench.startCharge(until: gate, before: end)
        bench.store.breakDown(at: .renew)
        bench.clock.advance(by: .seconds(31))
        return running
    }

    @Test("once over, lets another attempt run, whose number is one higher")
    func takenOver() async throws {
        let bench = Workbench { $0.lease = .seconds(30) }
        let gate = Gate()
        let running = try await self.cutOff(bench, until: gate) { context in #expect(!context.isLeaseHeld) }
        let attempt = try await bench.otherProcess().idempotency.run(key: "k-1") { $0.attempt }
        #expect(attempt == 2)

        gate.open()
        // The late attempt has its result, but may not replace what the other one has stored.
        #expect(try await running.value == 1)
        #expect(try await bench.otherProcess().charge() == 2)
        #expect(bench.ledger.count == 1)
    }

    @Test("once lost, cancels the operation, and nothing of it is stored")
    func lossCancels() async throws {
        let bench = Workbench { $0.lease = .seconds(30) }
        let isCancelled = Gate()
        let task = Task { [ledger = bench.ledger] in
            try await bench.idempotency.run(key: "k-1") { _ in
                let entry = ledger.add()
                await withTaskCancellationHandler {
                    await isCancelled.pass()
                } onCancel: {
                    isCancelled.open()
                }
                try Task.checkCancellation()
                return entry
            }
        }
        try await eventually { isCancelled.arrivals == 1 }
        bench.store.breakDown(at: .renew)
        bench.clock.advance(by: .seconds(31))
        #expect(try await bench.otherProcess().charge() == 2)
        bench.store.heal()
        try await eventually {
            bench.clock.advance(by: .seconds(1))
            return bench.store.count(of: .renew) >= 2
        }
        let problem = await bench.problem { try await task.value }
        #expect(problem?.kind == .requestInProgress)
        #expect(bench.store.count(of: .complete) == 0)
        #expect(try await bench.charge() == 2)
    }

    @Test("once over, refuses every retry if the rule says so, until the late attempt ends")
    func refuses() async throws {
        let bench = Workbench {
            $0.lease = .seconds(30)
            $0.onAbandoned = .refuse
        }
        let gate = Gate()
        let running = try await self.cutOff(bench, until: gate) { _ in }
        for _ in 0..<2 {
            #expect(await bench.problem { try await bench.otherProcess().charge() }?.kind == .outcomeUnknown)
        }
        gate.open()
        #expect(try await running.value == 1)
        #expect(try await bench.otherProcess().charge() == 1)
        #expect(bench.ledger.count == 1)
    }

    @Test("ends by itself if an adapter drops its execution")
    func dropped() async throws {
        let bench = Workbench { $0.lease = .seconds(30) }
        let service = GuardedService(bench.idempotency)
        try await service.abandon(key: "k-1")
        #expect(try await service.send(key: "k-1").head.status == .conflict)
        bench.clock.advance(by: .seconds(30))
        #expect(try await service.send(key: "k-1").head.status == .ok)
        #expect(bench.store.count(of: .renew) == 0)
    }
}
