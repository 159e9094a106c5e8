import HTTPTypes
import Idemptx
import IdemptxTesting
import InMemoryLogging
import InMemoryTracing
import Logging
import MetricsTestKit
import Testing
import Tracing

@Suite("What a runner tells")
struct ObservabilityTests {
    private let observed = Observed()

    private func bench(_ change: (inout IdempotencyPolicy) -> Void = { _ in }) async throws -> Workbench {
        try await self.observed.during { Workbench(change) }
    }

    @Test("counts each request by what became of it")
    func requests() async throws {
        let bench = try await self.bench {
            $0.maxRequestBody = 10
            $0.claimRetryTime = .zero
        }
        let service = GuardedService(bench.idempotency)
        try await self.observed.during {
            _ = try await service.send(key: "k-1", body: "5")
            _ = try await service.send(key: "k-1", body: "5")
            _ = try await service.send(key: "k-1", body: "5")
            _ = try await service.send(key: "k-1", body: "6")
            for key in [nil, "", "a b"] { _ = try await service.send(key: key) }
            _ = try await service.send(key: "k-2", body: "more than ten")
            _ = try await service.send(.get, key: "k-1")
            _ = try await service.send(key: "k-3") { context in
                _ = try await service.send(key: "k-3")
                context?.tombstone()
                return HTTPAnswer(head: HTTPResponse(status: .ok))
            }
            _ = try await service.send(key: "k-3")
            bench.store.breakDown(at: .claim)
            _ = try await service.send(key: "k-4")
        }
        let expected: [String: Int64] = [
            "executed": 2, "replayed": 2, "mismatch": 1, "rejected": 4, "conflict": 1, "not_replayable": 1,
            "unavailable": 1, "unknown": 0, "bypassed": 0,
        ]
        for (outcome, count) in expected { #expect(try self.observed.requests(outcome) == count, "\(outcome)") }
        #expect(try self.observed.count("idempotency.store.errors", [("operation", "claim")]) == 1)
    }

    @Test("counts what enforcing would have done while it only observes")
    func observing() async throws {
        let bench = try await self.bench { $0.mode = .observe }
        let service = GuardedService(bench.idempotency)
        try await self.observed.during {
            for body in ["5", "5", "6"] { _ = try await service.send(key: "k-1", body: body) }
            _ = try await service.send(key: nil)
        }
        for outcome in ["executed", "replayed", "mismatch", "rejected"] {
            #expect(try self.observed.requests(outcome, mode: "observe") == 1, "\(outcome)")
            #expect(try self.observed.requests(outcome) == 0, "\(outcome)")
        }
    }

    @Test("counts renewals, losses, takeovers and outcomes that were not stored")
    func leases() async throws {
        let bench = try await self.bench { $0.lease = .seconds(30) }
        try await self.observed.during {
            let gate = Gate()
            let running = try await bench.startCharge(until: gate)
            #expect(try self.observed.metrics.expectGauge("idempotency.running").lastValue == 1)
            await bench.clock.waitForSleepers()
            bench.clock.advance(by: .seconds(10))
            try await eventually { try self.observed.count("idempotency.lease.renewals") == 1 }

            bench.store.breakDown(at: .renew)
            bench.clock.advance(by: .seconds(31))
            #expect(try await bench.otherProcess().charge() == 2)
            bench.store.heal()
            try await eventually {
                bench.clock.advance(by: .seconds(1))
                return try self.observed.count("idempotency.lease.losses") == 1
            }
            gate.open()
            #expect(try await running.value == 1)
        }
        #expect(try self.observed.count("idempotency.takeovers") == 1)
        #expect(try self.observed.count("idempotency.unstored") == 1)
        #expect(try self.observed.metrics.expectGauge("idempotency.running").lastValue == 0)
    }

    @Test("measures each call to the store, and each wait")
    func durations() async throws {
        let bench = try await self.bench { $0.waitTimeout = .seconds(60) }
        try await self.observed.during {
            let gate = Gate()
            let running = try await bench.startCharge(until: gate)
            let waiting = Task { try await bench.charge() }
            try await eventually { try self.observed.metrics.expectGauge("idempotency.waiting").lastValue == 1 }
            gate.open()
            _ = try await (running.value, waiting.value)
        }
        for (operation, calls) in [("claim", bench.store.count(of: .claim)), ("complete", 1)] {
            let timer = try self.observed.metrics.expectTimer("idempotency.store.duration", [("operation", operation)])
            #expect(timer.values.count == calls)
        }
        #expect(try self.observed.metrics.expectTimer("idempotency.wait.duration").values.count == 1)
        #expect(try self.observed.metrics.expectGauge("idempotency.waiting").lastValue == 0)
    }

    @Test("traces each call to the store, and each wait; failed calls are marked")
    func spans() async throws {
        let bench = try await self.bench()
        try await self.observed.during {
            bench.store.inject(.failsBefore, at: .claim)
            _ = try await bench.whileTimePasses { try await bench.charge() }
        }
        let spans = self.observed.tracer.finishedSpans
        #expect(spans.map(\.operationName) == ["idempotency.claim", "idempotency.claim", "idempotency.complete"])
        #expect(spans.map { $0.status?.code == .error } == [true, false, false])
        #expect(spans.allSatisfy { $0.kind == .client })
    }

    @Test("logs what an operator has to look at, by record and attempt")
    func log() async throws {
        let bench = try await self.bench { $0.completionRetryTime = .zero }
        try await self.observed.during {
            bench.store.breakDown(at: .complete)
            _ = try await bench.charge()
        }
        let entry = try #require(self.observed.log.entries.first { $0.level == .error })
        #expect(entry.metadata["idempotency.attempt"] == "1")
        let key = StorageKey(scope: .unscoped, key: try IdempotencyKey("k-1"))
        #expect(entry.metadata["idempotency.record"] == "\(key.description.prefix(16))")
    }

    @Test("never holds a key, an identity, a body or a header")
    func secrets() async throws {
        let secret = "s3cret"
        let bench = try await self.bench {
            $0.claimRetryTime = .zero
            $0.completionRetryTime = .zero
            $0.lease = .seconds(30)
        }
        let service = GuardedService(bench.idempotency)
        let headers: HTTPFields = [.authorization: "Bearer \(secret)"]
        try await self.observed.during {
            @Sendable func send(_ key: String, body: String = secret) async throws -> HTTPAnswer {
                try await service.send(key: key, body: body, headers: headers) { _ in
                    HTTPAnswer(
                        head: HTTPResponse(status: .created, headerFields: [.location: "/\(secret)"]),
                        body: Array(secret.utf8))
                }
            }
            for (key, body) in [("1", "1"), ("1", "1"), ("1", "2")] {
                _ = try await send("\(secret)-\(key)", body: "\(secret)\(body)")
            }
            _ = try await send("\"\(secret)")
            for call in FaultyStore.Call.allCases {
                bench.store.breakDown(.throwsError(Indiscreet(secret: secret)), at: call)
                _ = try await send("\(secret)-\(call)")
                bench.store.heal()
            }
            bench.store.breakDown(
                .throwsError(StoreError(.unavailable, "No store.", underlyingError: Indiscreet(secret: secret))),
                at: .complete)
            _ = try await send("\(secret)-unstored")
        }
        #expect(self.observed.log.entries.count > 10)
        #expect(self.observed.tracer.finishedSpans.count > 5)
        #expect(!self.observed.everything.contains(secret))
        let descriptions = ["\(try IdempotencyKey(secret))", "\(Scope.principal(secret))"]
        #expect(!descriptions.joined().contains(secret))
    }

    /// What a database driver throws that quotes the statement it was given.
    private struct Indiscreet: Error, CustomStringConvertible {
        let secret: String
        var description: String { "INSERT failed: \(self.secret)" }
    }
}
