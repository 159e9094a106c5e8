import Foundation
import Idemptx
import IdemptxTesting
import TestSupport
import Testing

@Suite("A function under a key")
struct RunTests {
    @Test("runs once; a retry gets the same result")
    func replays() async throws {
        let bench = Workbench()
        #expect(try await bench.charge() == 1)
        #expect(try await bench.charge() == 1)
        #expect(bench.ledger.count == 1)
    }

    @Test("runs once per key, scope and namespace")
    func separatesKeys() async throws {
        let bench = Workbench()
        let runs: [(key: String, scope: Scope)] = [
            ("k", .unscoped), ("K", .unscoped), ("k", .principal("a")), ("k", .principal("b")),
        ]
        let ledger = bench.ledger
        for _ in 0..<2 {
            for (index, run) in runs.enumerated() {
                let entry = try await bench.idempotency.run("charge", key: run.key, scope: run.scope) { _ in
                    ledger.add()
                }
                #expect(entry == index + 1)
            }
        }
        #expect(try await bench.otherProcess { $0.namespace = "refunds" }.charge("k") == runs.count + 1)
    }

    @Test("is refused if the key was used for something else")
    func mismatch() async throws {
        let bench = Workbench()
        let (five, six) = (Fingerprint(ofBytes: [5]), Fingerprint(ofBytes: [6]))
        let gate = Gate()
        let running = try await bench.startCharge(fingerprint: five, until: gate)
        #expect(await bench.problem { try await bench.charge(fingerprint: six) }?.kind == .keyReused)
        gate.open()
        _ = try await running.value
        #expect(await bench.problem { try await bench.charge(fingerprint: six) }?.kind == .keyReused)
        #expect(try await bench.charge(fingerprint: five) == 1)
        #expect(bench.ledger.count == 1)
    }

    @Test("is replayed whatever it is asked to do, if signatures are not validated")
    func withoutSignature() async throws {
        let bench = Workbench { $0.validateSignature = false }
        #expect(try await bench.charge(fingerprint: Fingerprint(ofBytes: [5])) == 1)
        #expect(try await bench.charge(fingerprint: Fingerprint(ofBytes: [6])) == 1)
    }

    @Test("is refused while it runs, and told when to retry")
    func inProgress() async throws {
        let bench = Workbench()
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        let problem = await bench.problem { try await bench.charge() }
        #expect(problem?.kind == .requestInProgress)
        #expect((3...5).contains(problem?.retryAfter ?? 0))
        gate.open()
        #expect(try await running.value == 1)
        #expect(bench.ledger.count == 1)
    }

    @Test("can have no result, or an optional one")
    func shapes() async throws {
        let bench = Workbench()
        for _ in 0..<2 {
            try await bench.idempotency.run("charge", key: "void") { [ledger = bench.ledger] _ in _ = ledger.add() }
            let none: Int? = try await bench.idempotency.run("charge", key: "optional") { [ledger = bench.ledger] _ in
                ledger.add()
                return nil
            }
            #expect(none == nil)
        }
        #expect(bench.ledger.count == 2)
    }

    @Test("knows its attempt, also without being handed it")
    func context() async throws {
        let bench = Workbench()
        let seen = try await bench.idempotency.run("charge", key: "k-1") { context in
            [context.key, "\(context.attempt)", "\(context.isLeaseHeld)"]
                + [IdempotencyContext.current === context ? "current" : "other"]
        }
        #expect(seen == ["k-1", "1", "true", "current"])
        #expect(IdempotencyContext.current == nil)
    }

    @Test("is forgotten after its time to live, and runs again")
    func expires() async throws {
        let bench = Workbench { $0.keyTTL = .seconds(60) }
        #expect(try await bench.charge() == 1)
        bench.clock.advance(by: .milliseconds(59_999))
        #expect(try await bench.charge() == 1)
        bench.clock.advance(by: .milliseconds(1))
        #expect(try await bench.charge() == 2)
    }

    @Test(
        "An invalid key runs nothing and claims nothing",
        arguments: ["", "é", "a\nb", String(repeating: "k", count: 256)])
    func invalidKey(key: String) async {
        let bench = Workbench()
        let problem = await bench.problem { try await bench.charge(key) }
        #expect(problem?.kind == .keyInvalid)
        #expect(problem?.reason != nil)
        #expect(bench.ledger.count == 0)
        #expect(bench.store.count(of: .claim) == 0)
    }

    // MARK: Results that cannot be stored

    @Test("A result that is too large, or no JSON, reaches its caller; a retry is told that it is gone")
    func unstorable() async throws {
        let bench = Workbench { $0.maxResponseBody = 100 }
        for (key, value) in [("large", Array(repeating: 0.5, count: 100)), ("nan", [Double.nan])] {
            func run() async throws -> [Double] {
                try await bench.idempotency.run("charge", key: key) { [ledger = bench.ledger] _ in
                    ledger.add()
                    return value
                }
            }
            #expect(try await run().count == value.count)
            let problem = await bench.problem { try await run() }
            #expect(problem?.kind == .responseNotReplayable)
            #expect(problem?.originalStatus == 200)
        }
        #expect(bench.ledger.count == 2)
    }

    @Test("A stored result of another type is an error, not a second run")
    func otherType() async throws {
        let bench = Workbench()
        _ = try await bench.charge()
        await #expect(throws: DecodingError.self) {
            let _: String = try await bench.idempotency.run("charge", key: "k-1") { [ledger = bench.ledger] _ in
                "\(ledger.add())"
            }
        }
        #expect(bench.ledger.count == 1)
    }

    // MARK: Errors

    private func fail(
        _ bench: Workbench,
        _ decide: @escaping @Sendable (IdempotencyContext) -> Void = { _ in }
    ) async throws -> Int {
        try await bench.idempotency.run("charge", key: "k-1") { [ledger = bench.ledger] context in
            ledger.add()
            decide(context)
            throw CardDeclined()
        }
    }

    @Test("An error reaches its caller; by default nothing runs again after it")
    func errorIsKept() async {
        let bench = Workbench()
        await #expect(throws: CardDeclined.self) { try await self.fail(bench) }
        let problem = await bench.problem { try await self.fail(bench) }
        #expect(problem?.kind == .responseNotReplayable)
        #expect(problem?.originalStatus == 500)
        #expect(bench.ledger.count == 1)
    }

    @Test("An error frees the key under the policies that say so")
    func errorIsReleased() async {
        for policy in [ReplayPolicy.retryServerErrors, .successesOnly] {
            let bench = Workbench { $0.replay = policy }
            await #expect(throws: CardDeclined.self) { try await self.fail(bench) }
            await #expect(throws: CardDeclined.self) { try await self.fail(bench) }
            #expect(bench.ledger.count == 2)
        }
    }

    @Test("The operation overrules the policy")
    func overrules() async throws {
        let released = Workbench()
        await #expect(throws: CardDeclined.self) { try await self.fail(released) { $0.release() } }
        #expect(try await released.charge() == 2)

        let kept = Workbench { $0.replay = .retryServerErrors }
        await #expect(throws: CardDeclined.self) { try await self.fail(kept) { $0.keep() } }
        #expect(await kept.problem { try await kept.charge() }?.kind == .responseNotReplayable)

        let secret = Workbench()
        for expected in [nil, IdempotencyProblem.Kind.responseNotReplayable] {
            let problem = await secret.problem {
                try await secret.idempotency.run("charge", key: "k-1") { [ledger = secret.ledger] context in
                    context.tombstone()
                    return ledger.add()
                }
            }
            #expect(problem?.kind == expected)
        }
        #expect(secret.ledger.count == 1)
    }

    // MARK: Cancellation

    @Test("A caller who leaves cancels nothing: the operation ends and is stored")
    func cancelledWhileRunning() async throws {
        let bench = Workbench()
        let gate = Gate()
        let running = try await bench.startCharge(until: gate) { _ in try Task.checkCancellation() }
        running.cancel()
        gate.open()
        #expect(try await running.value == 1)
        #expect(try await bench.charge() == 1)
        #expect(bench.ledger.count == 1)
    }

    @Test("A caller who leaves before the start leaves no claim behind")
    func cancelledBeforeStart() async throws {
        let bench = Workbench()
        let gate = Gate()
        bench.store.inject(.waits { await gate.pass() }, at: .claim)
        let task = Task { try await bench.charge() }
        try await eventually { gate.arrivals == 1 }
        task.cancel()
        gate.open()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(bench.ledger.count == 0)
        #expect(try await bench.charge() == 1)
    }

    // MARK: Crowds

    @Test(
        """
        A caller who is cancelled after claiming a key of unknown outcome leaves it unknown: attempts count up, and the \
        request stays the same
        """
    )
    func cancelledRerun() async throws {
        let bench = Workbench { $0.lease = .seconds(30) }
        let gate = Gate()
        let order = Fingerprint(ofBytes: [1])
        let running = try await bench.startCharge(fingerprint: order, until: gate)
        bench.store.breakDown(at: .renew)
        bench.clock.advance(by: .seconds(31))

        let other = bench.otherProcess()
        let claimed = Gate()
        other.store.inject(.waits { await claimed.pass() }, at: .claim)
        let leaving = Task { try await other.charge(fingerprint: order) }
        try await eventually { claimed.arrivals == 1 }
        leaving.cancel()
        claimed.open()
        await #expect(throws: CancellationError.self) { try await leaving.value }

        try await eventually("The claim is withdrawn") {
            try bench.memory.records(in: .claimed, after: nil, limit: 1).records.isEmpty
        }
        let another = await other.problem { try await other.charge(fingerprint: Fingerprint(ofBytes: [2])) }
        #expect(another?.kind == .keyReused)

        // The first attempt may still be running: no later one may have its number, or that of the one that left.
        let attempt = try await other.idempotency.run("charge", key: "k-1", fingerprint: order) { $0.attempt }
        #expect(attempt == 3)
        gate.open()
        _ = try await running.value
    }

    @Test("A rerun that does nothing leaves the outcome unknown, and the key to the same request")
    func releasedRerun() async throws {
        let bench = Workbench { $0.lease = .seconds(30) }
        let (gate, order) = (Gate(), Fingerprint(ofBytes: [1]))
        let running = try await bench.startCharge(fingerprint: order, until: gate)
        bench.store.breakDown(at: .renew)
        bench.clock.advance(by: .seconds(31))
        let other = bench.otherProcess()
        let attempts = try await other.idempotency.run("charge", key: "k-1", fingerprint: order) { context in
            context.release()
            return context.attempt
        }
        #expect(attempts == 2)
        let another = await other.problem { try await other.charge(fingerprint: Fingerprint(ofBytes: [2])) }
        #expect(another?.kind == .keyReused)
        #expect(try await other.idempotency.run("charge", key: "k-1", fingerprint: order) { $0.attempt } == 3)
        gate.open()
        _ = try await running.value
    }

    @Test("A rerun whose reply was lost leaves the count of attempts, and the request")
    func lostRerun() async throws {
        let bench = Workbench {
            $0.lease = .seconds(30)
            $0.claimRetryTime = .zero
        }
        let (gate, order) = (Gate(), Fingerprint(ofBytes: [1]))
        let running = try await bench.startCharge(fingerprint: order, until: gate)
        bench.store.breakDown(at: .renew)
        bench.clock.advance(by: .seconds(31))
        let other = bench.otherProcess()
        other.store.inject(.losesReply, at: .claim)
        #expect(await bench.problem { try await other.charge(fingerprint: order) }?.kind == .storeUnavailable)
        try await eventually("The claim is withdrawn") {
            try bench.memory.records(in: .claimed, after: nil, limit: 1).records.isEmpty
        }
        let another = await other.problem { try await other.charge(fingerprint: Fingerprint(ofBytes: [2])) }
        #expect(another?.kind == .keyReused)
        let attempt = try await other.idempotency.run("charge", key: "k-1", fingerprint: order) { $0.attempt }
        #expect(attempt == 3)
        gate.open()
        _ = try await running.value
    }

    @Test("A storm of duplicates runs it once, and all get the result", arguments: [1, 2])
    func storm(processes: Int) async throws {
        let first = Workbench { $0.waitTimeout = .seconds(3600) }
        let benches = (0..<processes).map { $0 == 0 ? first : first.otherProcess() }
        // Waiters in another process get no hint, and have to ask again.
        let entries = try await first.whileTimePasses {
            try await withThrowingTaskGroup(of: Int.self) { group in
                for index in 0..<200 {
                    group.addTask { try await benches[index % processes].charge() }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
        }
        #expect(entries == Array(repeating: 1, count: 200))
        #expect(first.ledger.count == 1)
    }

    @Test("In a storm without waiting, each caller gets the result or learns that it is running")
    func stormWithoutWaiting() async throws {
        let bench = Workbench()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                group.addTask {
                    let problem = await bench.problem {
                        let entry = try await bench.charge()
                        #expect(entry == 1)
                    }
                    #expect(problem == nil || problem?.kind == .requestInProgress)
                }
            }
        }
        #expect(bench.ledger.count == 1)
    }

    // MARK: Clocks

    @Test("A clock that is set back keeps what is stored")
    func clockSetBack() async throws {
        let bench = Workbench()
        bench.clock.advance(by: .seconds(7_200))
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        bench.clock.advance(by: .seconds(-3_600))
        #expect(await bench.problem { try await bench.charge() }?.kind == .requestInProgress)
        gate.open()
        #expect(try await running.value == 1)
        bench.clock.advance(by: .seconds(-1_800))
        #expect(try await bench.charge() == 1)
        #expect(bench.ledger.count == 1)
    }

    @Test("A clock that jumps ahead of the lease lets a retry run, as the next attempt, and keeps its result")
    func clockJumpsPastLease() async throws {
        let bench = Workbench()
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        // The jump ends the lease before anybody can renew it: to the store, that is an attempt that fell silent.
        bench.store.breakDown(at: .renew)
        bench.clock.advance(by: .seconds(86_000))
        let attempt = try await bench.otherProcess().idempotency.run("charge", key: "k-1") { $0.attempt }
        #expect(attempt == 2)
        gate.open()
        #expect(try await running.value == 1)
        let again = try await bench.otherProcess().idempotency.run("charge", key: "k-1") { $0.attempt }
        #expect(again == 2)
    }

    @Test("A clock that jumps ahead while it runs does not lose its result")
    func clockSetAhead() async throws {
        let bench = Workbench()
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        bench.clock.advance(by: .seconds(3_600))
        gate.open()
        #expect(try await running.value == 1)
        #expect(try await bench.charge() == 1)
        #expect(bench.ledger.count == 1)
    }
}
