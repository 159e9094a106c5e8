import HTTPTypes
import Idemptx
import IdemptxTesting
import Synchronization
import TestSupport
import Testing

@Suite("A claim", .timeLimit(.minutes(2)))
struct ClaimTests {
    // MARK: Ghosts

    @Test("that the store gets to after its caller has left leaves nothing unknown behind")
    func ghost() async throws {
        let bench = Workbench {
            $0.onAbandoned = .refuse
            $0.claimRetryTime = .zero
        }
        let arrival = Gate()
        bench.store.inject(.arrivesLate { await arrival.pass() }, at: .claim, times: 20)
        for number in 1...20 {
            #expect(await bench.problem { try await bench.charge("k-\(number)") }?.kind == .storeUnavailable)
        }
        bench.clock.advance(by: .seconds(5))
        arrival.open()
        try await eventually { bench.store.lateCallCount == 0 }
        bench.clock.advance(by: .seconds(60))
        for number in 1...20 { #expect(try await bench.charge("k-\(number)") == number) }
    }

    @Test("whose release fails is released again, until the store replies")
    func releasedAgain() async throws {
        let bench = Workbench {
            $0.onAbandoned = .refuse
            $0.claimRetryTime = .zero
        }
        bench.store.inject(.losesReply, at: .claim)
        bench.store.breakDown(at: .release)
        #expect(await bench.problem { try await bench.charge() }?.kind == .storeUnavailable)
        try await bench.whileTimePasses { try await eventually { bench.store.count(of: .release) > 3 } }
        bench.store.heal()
        try await bench.whileTimePasses { try await eventually { (try? await bench.charge()) == 1 } }
    }

    @Test("is released once its store works again, be it that somebody had to mend it", arguments: [true, false])
    func releasedAfterMending(isUnconfirmed: Bool) async throws {
        let bench = Workbench {
            $0.onAbandoned = .refuse
            $0.claimRetryTime = .zero
        }
        let refusal = FaultyStore.Fault.throwsError(StoreError(.misconfigured, "The password is wrong."))
        bench.store.inject(refusal, at: .release, times: 4)
        if isUnconfirmed {
            bench.store.inject(.losesReply, at: .claim)
            #expect(await bench.problem { try await bench.charge() }?.kind == .storeUnavailable)
        } else {
            try await bench.whileTimePasses {
                try await bench.idempotency.run("charge", key: "k-1") { $0.release() }
            }
        }
        try await bench.whileTimePasses { try await eventually { bench.store.count(of: .release) > 4 } }
        try await bench.whileTimePasses { try await eventually { (try? await bench.charge()) == 1 } }
    }

    @Test("that the store gets to after it has been released is released again")
    func ghostAfterRelease() async throws {
        let bench = Workbench {
            $0.onAbandoned = .refuse
            $0.claimTimeout = .seconds(3_600)
        }
        let arrival = Gate()
        // The first call is still on its way when the second one, which was granted, has been released.
        bench.store.inject(.arrivesLate { await arrival.pass() }, at: .claim)
        bench.store.inject(.losesReply, at: .claim)
        bench.store.breakDown(at: .claim)
        let problem = try await bench.whileTimePasses { await bench.problem { try await bench.charge() } }
        #expect(problem?.kind == .storeUnavailable)
        try await bench.whileTimePasses {
            try await eventually { try bench.memory.records(in: nil, after: nil, limit: 1).records.isEmpty }
        }
        bench.store.heal()
        arrival.open()
        try await eventually { bench.store.lateCallCount == 0 }
        try await bench.whileTimePasses {
            try await eventually(within: .seconds(20)) { (try? await bench.charge()) == 1 }
        }
    }

    @Test("that the store gets to after its operation has released the key is released again")
    func ghostAfterOperation() async throws {
        let bench = Workbench {
            $0.onAbandoned = .refuse
            $0.claimTimeout = .seconds(3_600)
        }
        let arrival = Gate()
        bench.store.inject(.arrivesLate { await arrival.pass() }, at: .claim)
        try await bench.whileTimePasses { try await bench.idempotency.run("charge", key: "k-1") { $0.release() } }
        arrival.open()
        try await eventually { bench.store.lateCallCount == 0 }
        try await bench.whileTimePasses {
            try await eventually(within: .seconds(20)) { (try? await bench.charge()) == 1 }
        }
    }

    // MARK: Leases

    @Test("whose lease is over when the reply comes is made again with the same token before anything runs")
    func leaseOver() async throws {
        let bench = Workbench {
            $0.lease = .seconds(30)
            $0.claimTimeout = .seconds(3_600)
        }
        bench.store.inject(.isDelayed(.seconds(31)), at: .claim)
        // A renewal, which is due at once, does as well if it comes first.
        bench.store.breakDown(at: .renew)
        let attempt = try await bench.whileTimePasses {
            try await bench.idempotency.run("charge", key: "k-1") { context in
                #expect(context.isLeaseHeld)
                return context.attempt
            }
        }
        #expect(attempt == 1)
        #expect(bench.store.count(of: .claim) == 2)
    }

    // MARK: A store that hangs

    @Test("of calls that arrive together is one call to the store", arguments: [true, false])
    func coalesced(isCompleted: Bool) async throws {
        let bench = Workbench()
        let gate = Gate()
        let first = try await bench.startCharge(until: gate)
        if isCompleted {
            gate.open()
            _ = try await first.value
        }
        let claims = bench.store.count(of: .claim)
        bench.store.standStill()
        let retries = (0..<100).map { _ in Task { await Result { try await bench.charge() } } }
        try await eventually { bench.store.count(of: .claim) == claims + 1 }
        // Long enough for all of them to have come.
        for _ in 0..<100 { await Task.yield() }
        bench.store.heal()
        for retry in retries {
            let result = await retry.value
            if isCompleted {
                #expect(try result.get() == 1)
            } else {
                #expect((await bench.problem { try result.get() })?.kind == .requestInProgress)
            }
        }
        #expect(bench.store.count(of: .claim) < claims + 50)
        gate.open()
        _ = try await first.value
    }

    @Test("costs one deadline, not one per request, where the operation may run without the store")
    func bypassed() async throws {
        let bench = Workbench { $0.onStoreFailure = .bypass }
        bench.store.standStill()
        let entries = try await bench.whileTimePasses {
            var entries: [Int] = []
            for number in 0...50 { entries.append(try await bench.charge("k-\(number)")) }
            return entries
        }
        #expect(entries == Array(1...51))
        // One at a time asks whether the store is back; the others do not wait.
        #expect(bench.store.count(of: .claim) < 15)

        bench.store.heal()
        bench.clock.advance(by: .seconds(60))
        #expect(try await bench.charge("k-99") == 52)
        #expect(try await bench.charge("k-99") == 52)
    }

    @Test("of a completed key is replayed from memory for a while, where that is the policy")
    func cached() async throws {
        let bench = Workbench { $0.maxReplayCacheBytes = 16 << 20 }
        #expect(try await bench.charge() == 1)
        #expect(try await bench.charge() == 1)
        let claims = bench.store.count(of: .claim)
        for _ in 0..<10 { #expect(try await bench.charge() == 1) }
        #expect(bench.store.count(of: .claim) == claims)
        bench.clock.advance(by: .seconds(10))
        #expect(try await bench.charge() == 1)
        #expect(bench.store.count(of: .claim) == claims + 1)
    }

    @Test("that compares nothing leaves nothing in memory for one that does")
    func cachedWithoutComparison() async throws {
        let bench = Workbench { $0.maxReplayCacheBytes = 16 << 20 }
        #expect(try await bench.charge(fingerprint: Fingerprint(ofBytes: [1])) == 1)
        bench.idempotency.policy.validateSignature = false
        #expect(try await bench.charge(fingerprint: Fingerprint(ofBytes: [2])) == 1)
        bench.idempotency.policy.validateSignature = true
        #expect(
            await bench.problem { try await bench.charge(fingerprint: Fingerprint(ofBytes: [2])) }?.kind == .keyReused)
    }

    // MARK: Names

    @Test("belongs to its operation: another one with the same key runs, too")
    func names() async throws {
        let bench = Workbench()
        for _ in 0..<2 {
            for name in ["charge", "receipt"] {
                try await bench.idempotency.run(name, key: "1") { _ in _ = bench.ledger.add() }
            }
        }
        #expect(bench.ledger.count == 2)
    }

    @Test("of a job cannot be made by a client")
    func jobsAreApart() async throws {
        let bench = Workbench()
        #expect(try await bench.charge("k-1") == 1)
        let response = try await GuardedService(bench.idempotency) { _ in .unscoped }.send(key: "k-1")
        #expect(response.head.headerFields[.idempotencyStatus] == "new")
    }

    @Test("has keys for other services, the same for each attempt, different for each service and each caller")
    func downstreamKeys() async throws {
        func keys(_ bench: Workbench, _ scope: Scope) async throws -> [String] {
            try await bench.idempotency.run("charge", key: "order-1", scope: scope) { context in
                [context.downstreamKey("stripe"), context.downstreamKey("mail")]
            }
        }
        let first = try await keys(Workbench(), .principal("a"))
        #expect(try await keys(Workbench(), .principal("a")) == first)
        let all = Set(first + (try await keys(Workbench(), .principal("b"))))
        #expect(all.count == 4)
        for key in all {
            #expect(key.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/) != nil)
        }
    }
}

extension Result where Failure == any Error {
    /// What `body` returns or throws.
    fileprivate init(_ body: () async throws -> Success) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}
