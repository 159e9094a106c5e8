import HTTPTypes
import Idemptx
import IdemptxTesting
import InMemoryLogging
import InMemoryTracing
import Logging
import Metrics
import MetricsTestKit
import TestSupport
import Testing
import Tracing

@Suite("What the engine tells")
struct ObservabilityTests {
    @Test("counts each request by what became of it")
    func requests() async throws {
        let bench = Workbench {
            $0.maxRequestBody = 10
            $0.claimRetryTime = .zero
        }
        let observed = Observed(bench)
        let service = GuardedService(bench.idempotency)
        _ = try await service.send(key: "k-1", body: "5")
        _ = try await service.send(key: "k-1", body: "5")
        _ = try await service.send(key: "k-1", body: "5")
        _ = try await service.send(key: "k-1", body: "6")
        for key in [nil, "", "a b"] { _ = try await service.send(key: key) }
        _ = try await service.send(key: "k-2", body: "more than ten")
        _ = try await service.send(.get, key: "k-1")
        _ = try await service.send(key: "k-3") { context in
            // Of another operation, not a call inside of this one.
            _ = try await Task.detached { try await service.send(key: "k-3") }.value
            context?.tombstone()
            return TestResponse(head: HTTPResponse(status: .ok))
        }
        _ = try await service.send(key: "k-3")
        try await bench.abandonRequest("k-5", onAbandoned: .refuse)
        bench.clock.advance(by: .seconds(31))
        bench.idempotency.policy.onAbandoned = .refuse
        _ = try await service.send(key: "k-5")
        bench.store.breakDown(at: .claim)
        _ = try await service.send(key: "k-4")
        bench.idempotency.policy.onStoreFailure = .bypass
        _ = try await service.send(key: "k-4")
        let expected: [String: Int64] = [
            "executed": 2, "replayed": 2, "mismatch": 1, "rejected": 4, "conflict": 1, "not_replayable": 1,
            "unavailable": 1, "unknown": 1, "bypassed": 1,
        ]
        for (outcome, count) in expected { #expect(try observed.requests(outcome) == count, "\(outcome)") }
        #expect(try observed.count("idempotency.store.errors", [("operation", "claim")]) == 2)
    }

    @Test("counts each operation that ran by what became of its outcome")
    func executions() async throws {
        let bench = Workbench { $0.completionRetryTime = .zero }
        let observed = Observed(bench)
        let service = GuardedService(bench.idempotency)
        for key in ["k-1", "k-1", "k-2"] { _ = try await service.send(key: key) }
        _ = try await service.send(key: "k-3") { context in
            context?.tombstone()
            return TestResponse(head: HTTPResponse(status: .ok))
        }
        _ = try await service.send(key: "k-4") { _ in TestResponse(head: HTTPResponse(status: .tooManyRequests)) }
        bench.store.breakDown(at: .complete)
        _ = try await service.send(key: "k-5")
        for (conclusion, count) in ["stored": 2, "tombstone": 1, "released": 1, "unstored": 1] as [String: Int64] {
            let dimensions = [("conclusion", conclusion)]
            #expect(try observed.count("idempotency.executions", dimensions) == count, "\(conclusion)")
        }
    }

    @Test("counts what enforcing would have done while it only observes")
    func observing() async throws {
        let bench = Workbench { $0.mode = .observe }
        let observed = Observed(bench)
        let service = GuardedService(bench.idempotency)
        _ = try await service.send(key: "k-1", body: "5")
        // The caller does not wait for the outcome to be stored.
        try await eventually { bench.memory.statistics().count(of: .completed) == 1 }
        for body in ["5", "6"] { _ = try await service.send(key: "k-1", body: body) }
        _ = try await service.send(key: nil)
        for outcome in ["executed", "replayed", "mismatch", "rejected"] {
            try await eventually { try observed.requests(outcome, mode: "observe") == 1 }
            #expect(try observed.requests(outcome) == 0, "\(outcome)")
        }
    }

    @Test("counts renewals, losses, takeovers and outcomes that were not stored; a loss is logged for its request")
    func leases() async throws {
        let bench = Workbench { $0.lease = .seconds(30) }
        let observed = Observed(bench)
        // The loop that renews starts with the first request, and must not log in its name.
        let bystander = Gate()
        let first = try await observed.during(metadata: ["request": "first"]) {
            try await bench.startCharge("k-0", until: bystander)
        }
        let gate = Gate()
        let running = try await observed.during(metadata: ["request": "second"]) {
            try await bench.startCharge(until: gate)
        }
        #expect(try observed.metrics.expectGauge("idempotency.running").lastValue == 2)
        try await eventually {
            bench.clock.advance(by: .milliseconds(100))
            return try observed.count("idempotency.lease.renewals") >= 2
        }
        bystander.open()
        _ = try await first.value

        bench.store.breakDown(at: .renew)
        bench.clock.advance(by: .seconds(31))
        let other = bench.otherProcess()
        #expect(try await other.charge() == 3)
        bench.store.heal()
        try await eventually {
            bench.clock.advance(by: .seconds(1))
            return try observed.count("idempotency.lease.losses") == 1
        }
        gate.open()
        #expect(try await running.value == 2)
        #expect(try Observed(other).count("idempotency.takeovers") == 1)
        #expect(try observed.count("idempotency.unstored") == 1)
        #expect(try observed.metrics.expectGauge("idempotency.running").lastValue == 0)
        let warning = try #require(observed.log.entries.first { $0.level == .warning })
        #expect(warning.metadata["request"] == "second")
        #expect(warning.metadata["idempotency.attempt"] == "1")
    }

    @Test("measures each call to the store, and each wait")
    func durations() async throws {
        let bench = Workbench { $0.waitTimeout = .seconds(60) }
        let observed = Observed(bench)
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        let waiting = Task { try await bench.charge() }
        try await eventually { try bench.waitingCount == 1 }
        gate.open()
        _ = try await (running.value, waiting.value)
        for (operation, calls) in [("claim", bench.store.count(of: .claim)), ("complete", 1)] {
            let timer = try observed.metrics.expectTimer("idempotency.store.duration", [("operation", operation)])
            #expect(timer.values.count == calls)
        }
        #expect(try observed.metrics.expectTimer("idempotency.wait.duration").values.count == 1)
        #expect(try bench.waitingCount == 0)
    }

    @Test("traces each call to the store, and each wait; failed calls are marked")
    func spans() async throws {
        let bench = Workbench {
            $0.waitTimeout = .seconds(60)
            $0.replay = .retryServerErrors
        }
        let observed = Observed(bench)
        try await observed.during {
            bench.store.inject(.failsBefore, at: .claim)
            _ = try await bench.whileTimePasses { try await bench.charge() }
            let gate = Gate()
            let running = try await bench.startCharge("k-2", until: gate) { _ in throw CardDeclined() }
            let waiting = Task { try await bench.charge("k-2") }
            try await eventually { try bench.waitingCount == 1 }
            gate.open()
            await #expect(throws: CardDeclined.self) { try await running.value }
            _ = try await waiting.value
        }
        let spans = observed.tracer.finishedSpans
        let names = Set(spans.map(\.operationName))
        #expect(names == ["idempotency.claim", "idempotency.complete", "idempotency.release", "idempotency.wait"])
        #expect(spans.count { $0.status?.code == .error } == 1)
        #expect(spans.first?.status?.code == .error)
    }

    @Test("logs what an operator has to look at, by record and attempt")
    func log() async throws {
        let bench = Workbench { $0.completionRetryTime = .zero }
        let observed = Observed(bench)
        try await observed.during {
            bench.store.breakDown(at: .complete)
            _ = try await bench.charge()
        }
        let entry = try #require(observed.log.entries.first { $0.level == .error })
        #expect(entry.metadata["idempotency.attempt"] == "1")
        let key = StorageKey(scope: .operation("charge"), key: try IdempotencyKey("k-1"))
        #expect(entry.metadata["idempotency.record"] == "\(key.description.prefix(16))")
        let decision = try #require(observed.log.entries.first { $0.level == .debug })
        #expect(decision.metadata["idempotency.outcome"] == "executed")
    }

    @Test(
        "warns of a key that could not be released where an operator has to settle it, by its record",
        arguments: [(UnknownOutcomeRule.rerun, Logger.Level.debug), (.refuse, .warning)])
    func notReleased(rule: UnknownOutcomeRule, level: Logger.Level) async throws {
        let bench = Workbench { $0.onAbandoned = rule }
        let observed = Observed(bench)
        try await observed.during {
            bench.store.breakDown(.throwsError(StoreError(.corruptRecord, "It is damaged.")), at: .release)
            try await bench.idempotency.run("charge", key: "k-1") { $0.release() }
        }
        let said = { observed.log.entries.first { $0.message.description.hasPrefix("A key could not be released") } }
        try await eventually { said() != nil }
        let entry = try #require(said())
        #expect(entry.level == level)
        let key = StorageKey(scope: .operation("charge"), key: try IdempotencyKey("k-1"))
        #expect(entry.metadata["idempotency.record"] == "\(key.description.prefix(16))")
        #expect(entry.metadata["idempotency.reason"] == "StoreError(corruptRecord): It is damaged.")
    }

    @Test("never holds a key, an identity, a body or a header")
    func secrets() async throws {
        let secret = "s3cret"
        let bench = Workbench {
            $0.claimRetryTime = .zero
            $0.completionRetryTime = .zero
        }
        let observed = Observed(bench)
        let service = GuardedService(bench.idempotency)
        let headers: HTTPFields = [.authorization: "Bearer \(secret)"]
        @Sendable func send(_ key: String, body: String = secret, releasing: Bool = false) async throws {
            _ = try await service.send(key: key, body: body, headers: headers) { context in
                if releasing { context?.release() }
                return TestResponse(
                    head: HTTPResponse(status: .created, headerFields: [.location: "/\(secret)"]),
                    body: Array(secret.utf8))
            }
        }
        let gate = Gate()
        try await observed.during {
            for (key, body) in [("1", "1"), ("1", "1"), ("1", "2")] {
                try await send("\(secret)-\(key)", body: "\(secret)\(body)")
            }
            try await send("\"\(secret)")
            for call in FaultyStore.Call.allCases {
                bench.store.breakDown(.throwsError(Indiscreet(secret: secret)), at: call)
            }
            try await send("\(secret)-2")
            bench.store.heal()
            for call in [FaultyStore.Call.complete, .release, .renew] {
                bench.store.breakDown(.throwsError(Indiscreet(secret: secret)), at: call)
            }
            try await send("\(secret)-3")
            try await send("\(secret)-4", releasing: true)
            let running = try await bench.startCharge("\(secret)-5", until: gate)
            try await eventually {
                bench.clock.advance(by: .seconds(1))
                return bench.store.count(of: .renew) > 0
            }
            gate.open()
            _ = try await running.value
        }
        for call in FaultyStore.Call.allCases {
            #expect(try observed.count("idempotency.store.errors", [("operation", call.rawValue)]) > 0, "\(call)")
        }
        #expect(observed.log.entries.count > 10)
        #expect(observed.tracer.finishedSpans.count > 5)
        #expect(!observed.everything.contains(secret))
    }

    @Test("shows the operations of all instances, not those of the one that spoke last")
    func sharedGauges() async throws {
        let bench = Workbench()
        let observed = Observed(bench)
        let other = withMetricsFactory(bench.metrics) { Idempotency(store: bench.store, clock: bench.clock) }
        let gate = Gate()
        let running = try await bench.startCharge("k-1", until: gate)
        let second = Task { try await other.run("charge", key: "k-2") { _ in await gate.pass() } }
        try await eventually { gate.arrivals == 2 }
        #expect(try observed.metrics.expectGauge("idempotency.running").lastValue == 2)
        gate.open()
        _ = try await (running.value, second.value)
        #expect(try observed.metrics.expectGauge("idempotency.running").lastValue == 0)
    }

    @Test("shows them also to a backend that is a value type")
    func sharedGaugesOfPlainBackend() async throws {
        let metrics = TestMetrics()
        let clock = ManualClock()
        let store = MemoryStore(clock: clock)
        let instances = (0..<2).map { _ in
            withMetricsFactory(PlainBackend(metrics: metrics)) { Idempotency(store: store, clock: clock) }
        }
        let gate = Gate()
        let running = instances.enumerated().map { number, idempotency in
            Task { try await idempotency.run("charge", key: "k-\(number)") { _ in await gate.pass() } }
        }
        try await eventually { gate.arrivals == 2 }
        #expect(try metrics.expectGauge("idempotency.running").lastValue == 2)
        gate.open()
        for task in running { try await task.value }
    }

    private struct PlainBackend: MetricsFactory {
        let metrics: TestMetrics

        func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
            self.metrics.makeCounter(label: label, dimensions: dimensions)
        }

        func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
            self.metrics.makeRecorder(label: label, dimensions: dimensions, aggregate: aggregate)
        }

        func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
            self.metrics.makeTimer(label: label, dimensions: dimensions)
        }

        func destroyCounter(_ handler: any CounterHandler) { self.metrics.destroyCounter(handler) }

        func destroyRecorder(_ handler: any RecorderHandler) { self.metrics.destroyRecorder(handler) }

        func destroyTimer(_ handler: any TimerHandler) { self.metrics.destroyTimer(handler) }
    }

    @Test("counts unknown outcomes while it runs as a service, those of one store once")
    func unknownOutcomes() async throws {
        let bench = Workbench()
        try await bench.abandonRequest("k-1", onAbandoned: .refuse)
        let services = (0..<2).map { _ in
            let idempotency = withMetricsFactory(bench.metrics) { Idempotency(store: bench.memory, clock: bench.clock) }
            return Task { try await idempotency.run() }
        }
        @Sendable func count() throws -> Double? {
            try bench.metrics.expectGauge("idempotency.unknown_outcomes").lastValue
        }
        try await eventually { (try? count()) == 0 }
        try await eventually {
            bench.clock.advance(by: .seconds(31))
            return try count() == 1
        }
        for _ in 0..<5 {
            bench.clock.advance(by: .seconds(61))
            await Task.yield()
            #expect(try count() == 1)
        }
        for service in services {
            service.cancel()
            try await service.value
        }
    }

    /// What a database driver throws that quotes the statement it was given.
    private struct Indiscreet: Error, CustomStringConvertible {
        let secret: String
        var description: String { "INSERT failed: \(self.secret)" }
    }
}
