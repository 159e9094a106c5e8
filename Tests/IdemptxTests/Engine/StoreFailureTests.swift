import Idemptx
import IdemptxTesting
import InMemoryLogging
import Logging
import MetricsTestKit
import TestSupport
import Testing

@Suite("A function whose store fails")
struct StoreFailureTests {
    /// An error of a store that knows nothing of `StoreError`.
    private struct DriverError: Error {}

    static let passing: [FaultyStore.Fault] = [
        .failsBefore, .losesReply, .throwsError(DriverError()), .failsAfter(DriverError()),
    ]

    @Test("runs once if the failure passes", arguments: [FaultyStore.Call.claim, .complete], passing.indices)
    func passes(call: FaultyStore.Call, fault: Int) async throws {
        let bench = Workbench()
        bench.store.inject(Self.passing[fault], at: call, times: 3)
        #expect(try await bench.whileTimePasses { try await bench.charge() } == 1)
        #expect(bench.store.count(of: call) == 4)
        #expect(try await bench.whileTimePasses { try await bench.charge() } == 1)
        #expect(bench.ledger.count == 1)
    }

    @Test("keeps its lease if a renewal fails and the failure passes", arguments: passing.indices)
    func renewalPasses(fault: Int) async throws {
        let bench = Workbench { $0.lease = .seconds(30) }
        bench.store.inject(Self.passing[fault], at: .renew, times: 3)
        let gate = Gate()
        let running = try await bench.startCharge(until: gate) { context in #expect(context.isLeaseHeld) }
        try await eventually {
            bench.clock.advance(by: .milliseconds(100))
            return bench.store.count(of: .renew) == 5
        }
        #expect(await bench.problem { try await bench.otherProcess().charge() }?.kind == .requestInProgress)
        gate.open()
        #expect(try await running.value == 1)
        #expect(try await bench.charge() == 1)
    }

    @Test("frees its key if the failure passes", arguments: passing.indices)
    func releasePasses(fault: Int) async throws {
        let bench = Workbench { $0.replay = .retryServerErrors }
        bench.store.inject(Self.passing[fault], at: .release, times: 3)
        let failing = Task {
            try await bench.whileTimePasses {
                try await bench.idempotency.run("charge", key: "k-1") { _ in throw CardDeclined() }
            }
        }
        await #expect(throws: CardDeclined.self) { try await failing.value }
        #expect(bench.store.count(of: .release) == 4)
        #expect(try await bench.charge() == 1)
    }

    @Test("does not run if its key cannot be claimed", arguments: passing.indices)
    func claimFails(fault: Int) async throws {
        let bench = Workbench()
        bench.store.breakDown(Self.passing[fault], at: .claim)
        let problem = try await bench.whileTimePasses { await bench.problem { try await bench.charge() } }
        #expect(problem?.kind == .storeUnavailable)
        #expect(problem?.retryAfter != nil)
        #expect(bench.ledger.count == 0)

        // A claim that was granted without a reply was released, so that no retry has to wait for its lease.
        bench.store.heal()
        #expect(try await bench.charge() == 1)
    }

    @Test("tells of an outage once, and of its end", arguments: [IdempotencyPolicy.StoreFailureRule.refuse, .bypass])
    func outagesAreTold(rule: IdempotencyPolicy.StoreFailureRule) async throws {
        let bench = Workbench {
            $0.onStoreFailure = rule
            $0.claimRetryTime = .zero
        }
        let observed = Observed(bench)
        try await observed.during {
            for _ in 1...2 {
                bench.store.breakDown(at: .claim)
                for number in 1...5 {
                    bench.clock.advance(by: .seconds(2))
                    _ = try? await bench.idempotency.run("charge", key: "k-\(number)") { _ in 1 }
                }
                bench.store.heal()
                bench.clock.advance(by: .seconds(2))
                for _ in 1...3 { _ = try await bench.charge() }
            }
        }
        let errors = observed.log.entries.filter { $0.level == .error }.map { "\($0.message)" }
        #expect(errors.count == 2)
        #expect(errors.allSatisfy { $0.contains(rule == .refuse ? "refused" : "unprotected") })
        #expect(observed.log.entries.count { "\($0.message)".contains("can be used again") } == 2)
    }

    @Test(
        "runs unprotected if the policy says so, whatever is wrong with the store",
        arguments: [StoreError.Code.unavailable, .replyLost, .misconfigured])
    func bypassOfAnyKind(code: StoreError.Code) async throws {
        let bench = Workbench {
            $0.onStoreFailure = .bypass
            $0.claimRetryTime = .zero
        }
        bench.store.breakDown(.throwsError(StoreError(code, "A test says so.")), at: .claim)
        #expect(try await bench.charge() == 1)
        #expect(bench.ledger.count == 1)
    }

    @Test("runs unprotected if the policy says so, and knows that it does")
    func bypass() async throws {
        let bench = Workbench {
            $0.onStoreFailure = .bypass
            $0.claimRetryTime = .zero
        }
        bench.store.breakDown(at: .claim)
        for _ in 0..<2 {
            let seen = try await bench.idempotency.run("charge", key: "k-1") { [ledger = bench.ledger] context in
                ledger.add()
                return "\(context.attempt) \(context.isLeaseHeld)"
            }
            #expect(seen == "1 false")
        }
        #expect(bench.ledger.count == 2)
        #expect(bench.store.count(of: .complete) == 0)
    }

    @Test("never runs if its record cannot be read, since it may have run before")
    func damagedRecord() async {
        let bench = Workbench { $0.onStoreFailure = .bypass }
        bench.store.breakDown(.throwsError(StoreError(.corruptRecord, "The record is damaged.")), at: .claim)
        #expect(await bench.problem { try await bench.charge() }?.kind == .storeUnavailable)
        #expect(bench.ledger.count == 0)
        #expect(bench.store.count(of: .claim) == 1)
    }

    @Test("never runs without the store if others hold its record: that is no outage")
    func busyRecord() async throws {
        let bench = Workbench {
            $0.onStoreFailure = .bypass
            $0.claimRetryTime = .zero
        }
        let observed = Observed(bench)
        bench.store.breakDown(.throwsError(StoreError(recordBusy: "A test says so.")), at: .claim)
        try await observed.during {
            #expect(await bench.problem { try await bench.charge() }?.kind == .storeUnavailable)
        }
        #expect(bench.ledger.count == 0)
        #expect(observed.log.entries.filter { $0.level >= .info }.isEmpty)
        bench.store.heal()
        #expect(try await bench.charge() == 1)
    }

    @Test("does not run without the store either if others held its record before the store failed")
    func busyRecordBeforeFailure() async throws {
        let bench = Workbench {
            $0.onStoreFailure = .bypass
            $0.claimTimeout = .seconds(60)
            $0.claimRetryTime = .seconds(1)
        }
        bench.store.breakDown(.throwsError(StoreError(recordBusy: "A test says so.")), at: .claim)
        let isOver = Gate()
        let charge = Task {
            defer { isOver.open() }
            return await bench.problem { try await bench.charge() }
        }
        try await eventually("The record is busy") { bench.store.count(of: .claim) == 1 }
        bench.store.breakDown(.throwsError(StoreError(.unavailable, "A test says so.")), at: .claim)
        try await eventually("The store has failed") {
            bench.clock.advance(by: .milliseconds(50))
            return isOver.isOpen
        }
        #expect(await charge.value?.kind == .storeUnavailable)
        #expect(bench.store.count(of: .claim) > 1)
        #expect(bench.ledger.count == 0)
    }

    @Test("keeps its lease while its result cannot be stored")
    func leaseDuringCompletion() async throws {
        let bench = Workbench {
            $0.lease = .seconds(30)
            $0.completionRetryTime = .seconds(300)
        }
        bench.store.inject(.failsBefore, at: .complete, times: 60)
        #expect(try await bench.whileTimePasses { try await bench.charge() } == 1)
        #expect(bench.store.count(of: .renew) > 0)
        #expect(try await bench.charge() == 1)
    }

    @Test("is not said to have lost its lease if the reply to its completion was lost")
    func lostCompletion() async throws {
        let bench = Workbench {
            $0.lease = .seconds(30)
            $0.completionRetryTime = .seconds(300)
        }
        bench.store.inject(.losesReply, at: .complete)
        bench.store.inject(.failsBefore, at: .complete, times: 40)
        let result = try await bench.whileTimePasses {
            try await bench.idempotency.run("charge", key: "k-1") { context in
                context.onLeaseLoss { Issue.record("No other attempt has the key") }
                return bench.ledger.add()
            }
        }
        #expect(result == 1)
        #expect(bench.store.count(of: .renew) > 0)
        #expect(try bench.metrics.expectCounter("idempotency.lease.losses").totalValue == 0)
        #expect(try await bench.charge() == 1)
    }

    @Test("leaves a tombstone if the store finds its result too large")
    func recordTooLarge() async throws {
        let bench = Workbench()
        bench.store.inject(.throwsError(StoreError(.recordTooLarge, "Too large.")), at: .complete)
        #expect(try await bench.charge() == 1)
        #expect(await bench.problem { try await bench.charge() }?.kind == .responseNotReplayable)
        #expect(bench.ledger.count == 1)
    }

    @Test("keeps its key until the lease is over if it cannot be released")
    func releaseFails() async throws {
        let bench = Workbench { $0.replay = .retryServerErrors }
        bench.store.breakDown(at: .release)
        let failing = Task {
            try await bench.whileTimePasses {
                try await bench.idempotency.run("charge", key: "k-1") { _ in throw CardDeclined() }
            }
        }
        await #expect(throws: CardDeclined.self) { try await failing.value }
        #expect(await bench.problem { try await bench.charge() }?.kind == .requestInProgress)
        bench.clock.advance(by: .seconds(30))
        #expect(try await bench.charge() == 1)
    }
}
