import Idemptx
import IdemptxTesting
import TestSupport
import Testing

@Suite("A call that waits for another with its key", .timeLimit(.minutes(3)))
struct WaitingTests {
    private func bench(_ change: @escaping (inout IdempotencyPolicy) -> Void = { _ in }) -> Workbench {
        Workbench {
            // Longer than any test lets pass, so that only the tests about leases have to renew.
            $0.lease = .seconds(86_400)
            $0.waitTimeout = .seconds(60)
            change(&$0)
        }
    }

    /// Starts calls and waits until all of them wait.
    ///
    /// They claim to learn that they have to wait, some of them together. The group that they form claims once more, and
    /// sleeps.
    private func startWaiting(
        _ bench: Workbench,
        calls: Int,
        key: String = "k-1"
    ) async throws -> [Task<Int, any Error>] {
        let before = try bench.waitingCount
        let claims = bench.store.count(of: .claim)
        let tasks = (0..<calls).map { _ in Task { try await bench.charge(key) } }
        try await eventually {
            try bench.waitingCount == before + calls && bench.store.count(of: .claim) >= claims + 2
        }
        await bench.clock.waitForSleepers(2)
        return tasks
    }

    @Test("gets its result as soon as it is there")
    func getsResult() async throws {
        let bench = self.bench()
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        let waiting = try await self.startWaiting(bench, calls: 3)
        gate.open()
        // The clock stands still: the change itself wakes those who wait.
        for task in waiting { #expect(try await task.value == 1) }
        #expect(try await running.value == 1)
        #expect(bench.ledger.count == 1)
    }

    @Test("finds the result by itself if the store gives no hint")
    func polls() async throws {
        let bench = self.bench()
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        let other = bench.otherProcess()
        let waiting = try await self.startWaiting(other, calls: 1)
        gate.open()
        #expect(try await running.value == 1)
        #expect(try other.waitingCount == 1)
        #expect(try await bench.whileTimePasses { try await waiting[0].value } == 1)
    }

    @Test("runs if the other gives the key back; the rest get its result")
    func takesOver() async throws {
        let bench = self.bench()
        let gate = Gate()
        let first = try await bench.startCharge(until: gate) { context in
            context.release()
            throw CardDeclined()
        }
        let waiting = try await self.startWaiting(bench, calls: 5)
        gate.open()
        await #expect(throws: CardDeclined.self) { try await first.value }
        for task in waiting { #expect(try await task.value == 2) }
        #expect(bench.ledger.count == 2)
    }

    @Test("is told that the other still runs when its time is over")
    func timesOut() async throws {
        let bench = self.bench()
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        let waiting = try await self.startWaiting(bench, calls: 2)
        bench.clock.advance(by: .seconds(60))
        for task in waiting {
            #expect(await bench.problem { try await task.value }?.kind == .requestInProgress)
        }
        gate.open()
        #expect(try await running.value == 1)
        #expect(bench.ledger.count == 1)
    }

    @Test("is told so when its time is over, even if the store does not reply")
    func storeHangs() async throws {
        let bench = self.bench()
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        let hanging = Gate()
        let claims = bench.store.count(of: .claim)
        bench.store.inject(.waits {}, at: .claim)
        bench.store.inject(.waits { await hanging.pass() }, at: .claim)
        let waiting = Task { try await bench.charge() }
        try await eventually { hanging.arrivals == 1 && bench.store.count(of: .claim) == claims + 2 }
        await bench.clock.waitForSleepers(2)
        bench.clock.advance(by: .seconds(60))
        #expect(await bench.problem { try await waiting.value }?.kind == .requestInProgress)

        // A claim that the store grants after all is released.
        gate.open()
        #expect(try await running.value == 1)
        hanging.open()
        #expect(try await bench.charge() == 1)
        #expect(bench.ledger.count == 1)
    }

    @Test("shares its questions to the store with all that wait for the same")
    func coalesces() async throws {
        let bench = self.bench()
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        let waiting = try await self.startWaiting(bench, calls: 50)
        let claims = bench.store.count(of: .claim)
        for _ in 0..<200 {
            bench.clock.advance(by: .milliseconds(50))
            try await Task.sleep(for: .milliseconds(1))
        }
        // Ten seconds, in which each of them by itself would have asked ten times.
        try await eventually { bench.store.count(of: .claim) > claims + 3 }
        #expect(bench.store.count(of: .claim) < claims + 30)
        gate.open()
        for task in waiting { #expect(try await task.value == 1) }
        _ = try await running.value
    }

    @Test("is turned away at once if too many wait for the key, or in all")
    func caps() async throws {
        for perKey in [true, false] {
            let bench = self.bench { if perKey { $0.maxWaitersPerKey = 2 } else { $0.maxWaiters = 2 } }
            let gate = Gate()
            let running = [
                try await bench.startCharge("k-1", until: gate), try await bench.startCharge("k-2", until: gate),
            ]
            let waiting = try await self.startWaiting(bench, calls: 2, key: "k-1")
            let key = perKey ? "k-1" : "k-2"
            #expect(await bench.problem { try await bench.charge(key) }?.kind == .requestInProgress)
            gate.open()
            for task in running + waiting { _ = try await task.value }
            #expect(bench.ledger.count == 2)
        }
    }

    @Test("makes room for others when it leaves, and leaves nothing behind")
    func cancelled() async throws {
        let bench = self.bench { $0.maxWaitersPerKey = 2 }
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        let waiting = try await self.startWaiting(bench, calls: 2)
        waiting[0].cancel()
        await #expect(throws: CancellationError.self) { try await waiting[0].value }
        let newcomer = Task { try await bench.charge() }
        gate.open()
        #expect(try await newcomer.value == 1)
        #expect(try await waiting[1].value == 1)
        #expect(try await running.value == 1)
        try await eventually { bench.clock.sleeperCount <= 1 }
        #expect(bench.ledger.count == 1)
    }

    @Test(
        "runs if the outcome of the other becomes unknown while it waits",
        arguments: [UnknownOutcomeRule.Kind.rerun, .refuse])
    func unknownAttempt(rule: UnknownOutcomeRule.Kind) async throws {
        let dying = Workbench {
            $0.lease = .seconds(30)
            $0.onAbandoned = rule == .rerun ? .rerun : .refuse
        }
        let gate = Gate()
        let first = try await dying.startCharge(until: gate)
        dying.store.breakDown(at: .renew)

        let bench = dying.otherProcess { $0.waitTimeout = .seconds(60) }
        let waiting = Task { try await bench.charge() }
        let result = try await bench.whileTimePasses { await waiting.result }
        switch rule {
        case .rerun: #expect(try result.get() == 2)
        case .refuse, .recover: #expect(await bench.problem { try result.get() }?.kind == .outcomeUnknown)
        }
        gate.open()
        #expect(try await first.value == 1)
        #expect(bench.ledger.count == (rule == .rerun ? 2 : 1))
    }

    @Test("is refused at once if it asks for something else")
    func mismatch() async throws {
        let bench = self.bench()
        let gate = Gate()
        let running = try await bench.startCharge(fingerprint: Fingerprint(ofBytes: [1]), until: gate)
        let problem = await bench.problem { try await bench.charge(fingerprint: Fingerprint(ofBytes: [2])) }
        #expect(problem?.kind == .keyReused)
        gate.open()
        _ = try await running.value
    }

    @Test("goes on waiting while the store is gone, and runs nothing")
    func storeFails() async throws {
        let bench = self.bench { $0.claimRetryTime = .zero }
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        let waiting = try await self.startWaiting(bench, calls: 3)
        bench.store.breakDown(at: .claim)
        try await bench.whileTimePasses {
            for task in waiting {
                #expect(await bench.problem { try await task.value }?.kind == .requestInProgress)
            }
        }
        gate.open()
        #expect(try await running.value == 1)
        #expect(bench.ledger.count == 1)
    }
}
