import HTTPTypes
import Idemptx
import IdemptxTesting
import MetricsTestKit
import TestSupport
import Testing

@Suite("An operation whose store is away, or comes back without its last writes", .timeLimit(.minutes(2)))
struct OutageTests {
    private func claimed(_ bench: Workbench) throws -> [RecordSummary] {
        try bench.memory.records(in: nil, after: nil, limit: 100).records
    }

    /// A store that has restarted without its last writes.
    private func forgetEverything(_ bench: Workbench) async throws {
        for record in try self.claimed(bench) { #expect(try await bench.memory.remove(record.key, reason: "a test")) }
    }

    // MARK: A record that has gone

    @Test("has its outcome stored though its record has gone")
    func recordGoneBeforeCompletion() async throws {
        let bench = Workbench()
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        try await self.forgetEverything(bench)
        gate.open()
        #expect(try await running.value == 1)
        #expect(try await bench.otherProcess().charge() == 1)
        #expect(bench.ledger.count == 1)
    }

    @Test("goes on, and has its key again, though its record has gone")
    func recordGoneBeforeRenewal() async throws {
        let bench = Workbench { $0.lease = .seconds(30) }
        let gate = Gate()
        let running = try await bench.startCharge(until: gate) { context in #expect(context.isLeaseHeld) }
        try await self.forgetEverything(bench)
        await bench.clock.waitForSleepers()
        bench.clock.advance(by: .seconds(10))
        try await eventually { try self.claimed(bench).count == 1 && bench.store.count(of: .renew) == 1 }
        #expect(await bench.problem { try await bench.otherProcess().charge() }?.kind == .requestInProgress)
        gate.open()
        #expect(try await running.value == 1)
        #expect(try await bench.otherProcess().charge() == 1)
        #expect(try bench.metrics.expectCounter("idempotency.lease.losses").totalValue == 0)
    }

    @Test("does not take its key back from an attempt that has come and gone meanwhile")
    func replacedAndFreed() async throws {
        let bench = Workbench { $0.lease = .seconds(30) }
        let gate = Gate()
        let isLost = Gate()
        let running = try await bench.startCharge(until: gate) { context in
            context.onLeaseLoss { isLost.open() }
            await isLost.pass()
        }
        bench.store.breakDown(at: .renew)
        bench.clock.advance(by: .seconds(31))
        await #expect(throws: CardDeclined.self) {
            try await bench.otherProcess { $0.replay = .retryServerErrors }.idempotency.run("charge", key: "k-1") { _ in
                throw CardDeclined()
            }
        }
        gate.open()
        try await eventually { isLost.arrivals == 1 }
        bench.store.heal()
        _ = try? await bench.whileTimePasses { try await running.value }
        #expect(try bench.metrics.expectCounter("idempotency.lease.losses").totalValue == 1)
    }

    // MARK: Known outcomes

    @Test("is not run again beside its known outcome where it may run without the store")
    func knownUnderBypass() async throws {
        let bench = Workbench {
            $0.onStoreFailure = .bypass
            $0.completionRetryTime = .zero
            $0.claimRetryTime = .zero
        }
        bench.store.breakDown(at: .complete)
        #expect(try await bench.charge() == 1)
        bench.store.breakDown(at: .claim)
        // From here on the store is left alone.
        #expect(try await bench.charge("k-2") == 2)
        #expect(try await bench.charge() == 1)
        #expect(bench.ledger.count == 2)
    }

    @Test("is not replayed from memory once another attempt may have stored an outcome")
    func replacedBeforeStored() async throws {
        let bench = Workbench {
            $0.lease = .seconds(30)
            $0.completionRetryTime = .zero
            $0.claimRetryTime = .zero
        }
        bench.store.breakDown(at: .complete)
        bench.store.breakDown(at: .renew)
        #expect(try await bench.charge() == 1)
        #expect(try await bench.charge() == 1)
        bench.clock.advance(by: .seconds(31))
        #expect(try await bench.otherProcess().charge() == 2)
        // Elsewhere, a client has been told so.
        #expect(try await bench.charge() == 2)
        bench.store.breakDown(at: .claim)
        #expect(try await bench.charge() == 1, "What is known here is still better than nothing")
    }

    @Test("has its outcome stored in place of a retry that was granted the key before the outcome was known")
    func knownAfterGrant() async throws {
        let bench = Workbench {
            $0.lease = .seconds(30)
            $0.completionRetryTime = .zero
        }
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        bench.store.breakDown(at: .renew)
        bench.store.breakDown(at: .complete)
        bench.store.breakDown(at: .release)
        bench.clock.advance(by: .seconds(31))
        let arrival = Gate()
        bench.store.inject(.waits { await arrival.pass() }, at: .claim)
        let retry = Task { try await bench.charge() }
        try await eventually { arrival.arrivals == 1 }
        gate.open()
        #expect(try await running.value == 1)
        arrival.open()
        #expect(try await retry.value == 1)
        bench.store.heal()
        try await bench.whileTimePasses {
            try await eventually { try self.claimed(bench).first?.state == .completed }
        }
        #expect(try await bench.otherProcess().charge() == 1)
        #expect(try self.claimed(bench).first?.header?.attempt == 2)
    }

    @Test(
        "keeps its outcome though the store refuses it for a reason that does not pass by itself",
        arguments: [StoreError.Code.misconfigured, .unavailable])
    func misconfigured(code: StoreError.Code) async throws {
        let bench = Workbench { $0.completionRetryTime = .zero }
        bench.store.breakDown(.throwsError(StoreError(code, "The password was changed.")), at: .complete)
        #expect(try await bench.charge() == 1)
        #expect(try await bench.charge() == 1)
        bench.clock.advance(by: .seconds(1))
        bench.store.heal()
        try await bench.whileTimePasses {
            try await eventually { try await bench.otherProcess().charge() == 1 }
        }
        #expect(bench.ledger.count == 1)
    }

    @Test("does not hold its caller up if the store hangs, though nothing is to be tried again")
    func hangsWithoutRetries() async throws {
        let bench = Workbench {
            $0.lease = .seconds(3_600)
            $0.completionRetryTime = .zero
        }
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        bench.store.standStill()
        gate.open()
        try await eventually { bench.store.count(of: .complete) == 1 }
        bench.clock.advance(by: .seconds(1))
        #expect(try await running.value == 1)
        bench.store.heal()
        try await eventually { try await bench.otherProcess().charge() == 1 }
    }

    // MARK: Those who wait

    @Test("does not run beside itself because the store fails one who waits for it")
    func waiterUnderBypass() async throws {
        let bench = Workbench {
            $0.lease = .seconds(86_400)
            $0.waitTimeout = .seconds(60)
            $0.claimRetryTime = .zero
            $0.onStoreFailure = .bypass
        }
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        bench.store.inject(.waits {}, at: .claim)
        bench.store.breakDown(at: .claim)
        let waiting = Task { try await bench.charge() }
        try await bench.whileTimePasses { try await eventually { bench.store.count(of: .claim) >= 4 } }
        #expect(bench.ledger.count == 1)
        bench.store.heal()
        gate.open()
        #expect(try await running.value == 1)
        #expect(try await bench.whileTimePasses { try await waiting.value } == 1)
        #expect(bench.ledger.count == 1)
    }

    @Test("belongs to the call that it was claimed for, also if that is handed a claim of another that comes too late")
    func handedOverLate() async throws {
        let bench = Workbench {
            $0.lease = .seconds(30)
            $0.waitTimeout = .seconds(3_600)
            $0.claimTimeout = .seconds(3_600)
            $0.claimRetryTime = .zero
        }
        let gate = Gate()
        let running = try await bench.startCharge(until: gate) { $0.release() }
        let (first, second) = (Task { try await bench.charge() }, Task { try await bench.charge() })
        try await eventually { try bench.waitingCount == 2 }
        // No renewal makes the late claim good.
        bench.store.breakDown(at: .renew)
        let poll = Gate()
        bench.store.inject(.waits { await poll.pass() }, at: .claim)
        try await bench.whileTimePasses { try await eventually { poll.arrivals == 1 } }
        gate.open()
        #expect(try await running.value == 1)
        // The poll is on behalf of both. It reaches the store, and is granted, when its lease has been over for a second.
        bench.clock.advance(by: .seconds(31))
        first.cancel()
        #expect(await first.result.isFailure)
        poll.open()
        // With the token of the poll: another one would have to wait for a lease that nobody's clock brings to its end.
        #expect(try await second.value == 2)
        #expect(bench.ledger.count == 2)
    }

    // MARK: Claims

    @Test("leaves no claim behind that came too late and could not be made again")
    func lateAndNotRepeated() async throws {
        let bench = Workbench {
            $0.lease = .seconds(30)
            $0.claimTimeout = .seconds(3_600)
            $0.claimRetryTime = .zero
            $0.onAbandoned = .refuse
        }
        // No renewal makes the late claim good.
        bench.store.breakDown(at: .renew)
        let arrival = Gate()
        bench.store.inject(.waits { await arrival.pass() }, at: .claim)
        bench.store.breakDown(at: .claim)
        let late = Task { try await bench.charge() }
        try await eventually { arrival.arrivals == 1 }
        bench.clock.advance(by: .seconds(29))
        arrival.open()
        #expect(await bench.problem { try await late.value }?.kind == .storeUnavailable)
        #expect(bench.store.count(of: .claim) == 2)
        try await eventually { try self.claimed(bench).isEmpty }
        bench.store.heal()
        #expect(try await bench.charge() == 1)
    }

    @Test("is not held up by its own claim, whose reply was lost")
    func repeatedClaim() async throws {
        let bench = Workbench { $0.claimTimeout = .seconds(3_600) }
        bench.store.inject(.losesReply, at: .claim)
        let held = Gate()
        let first = Task { try await bench.charge() }
        try await eventually { bench.store.count(of: .claim) == 1 }
        await bench.clock.waitForSleepers()
        // Another claim is under way when the first is made again.
        bench.store.inject(.waits { await held.pass() }, at: .claim)
        let second = Task { try await bench.charge() }
        try await eventually { held.arrivals == 1 }
        bench.clock.advance(by: .milliseconds(100))
        #expect(try await first.value == 1)
        held.open()
        #expect(try await second.value == 1)
        #expect(bench.ledger.count == 1)
    }

    @Test("releases one claim, not one for each call that had joined it")
    func followersDoNotRelease() async throws {
        let bench = Workbench { $0.claimRetryTime = .zero }
        let (gate, held) = (Gate(), Gate())
        let running = try await bench.startCharge(until: gate)
        bench.store.inject(.waits { await held.pass() }, at: .claim)
        bench.store.inject(.losesReply, at: .claim)
        let leader = Task { try await bench.charge() }
        try await eventually { held.arrivals == 1 }
        let others = (0..<10).map { _ in Task { try await bench.charge() } }
        // Long enough for all of them to have come.
        for _ in 0..<1_000 { await Task.yield() }
        try await Task.sleep(for: .milliseconds(50))
        held.open()
        _ = await leader.result
        for other in others { _ = await other.result }
        try await Task.sleep(for: .milliseconds(20))
        #expect(bench.store.count(of: .release) <= 1)
        gate.open()
        #expect(try await running.value == 1)
    }
}

extension Result {
    fileprivate var isFailure: Bool {
        if case .failure = self { true } else { false }
    }
}
