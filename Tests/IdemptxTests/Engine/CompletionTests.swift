import HTTPTypes
import Idemptx
import IdemptxTesting
import MetricsTestKit
import TestSupport
import Testing

@Suite("An outcome that the store does not take", .timeLimit(.minutes(2)))
struct CompletionTests {
    @Test("is stored once the store is back; its caller has waited three seconds, and nothing runs again")
    func storedLate() async throws {
        let bench = Workbench()
        bench.store.breakDown(at: .complete)
        let isDone = Ledger()
        let charging = Task {
            defer { isDone.add() }
            return try await bench.charge()
        }
        try await eventually {
            bench.clock.advance(by: .milliseconds(10))
            return isDone.count == 1
        }
        #expect(try await charging.value == 1)
        // The first edition tried for ten.
        #expect(bench.clock.now.offset < .seconds(9))
        #expect(try bench.metrics.expectCounter("idempotency.unstored").totalValue == 1)
        #expect(try bench.metrics.expectGauge("idempotency.unstored.pending").lastValue == 1)

        // Longer than the lease, and longer than the first edition tried.
        try await bench.whileTimePasses {
            try await eventually { bench.clock.now.offset > .seconds(40) }
        }
        #expect(await bench.problem { try await bench.otherProcess().charge() }?.kind == .requestInProgress)
        bench.store.heal()
        try await bench.whileTimePasses {
            try await eventually { try await bench.otherProcess().charge() == 1 }
        }
        #expect(bench.ledger.count == 1)
        // Another process sees the outcome a moment before this one knows that it is stored.
        try await eventually { try bench.metrics.expectGauge("idempotency.unstored.pending").lastValue == 0 }
    }

    @Test("is replayed from memory meanwhile to a retry that reaches the same process")
    func replayedFromMemory() async throws {
        let bench = Workbench { $0.completionRetryTime = .zero }
        bench.store.breakDown(at: .complete)
        bench.store.breakDown(at: .renew)
        #expect(try await bench.charge(fingerprint: Fingerprint(ofBytes: [5])) == 1)
        // The store would grant the key to anybody now.
        bench.clock.advance(by: .seconds(31))
        #expect(try await bench.charge(fingerprint: Fingerprint(ofBytes: [5])) == 1)
        #expect(
            await bench.problem { try await bench.charge(fingerprint: Fingerprint(ofBytes: [6])) }?.kind == .keyReused)
        #expect(bench.ledger.count == 1)
    }

    @Test("does not hold its caller up if the store hangs")
    func hangs() async throws {
        let bench = Workbench { $0.lease = .seconds(3_600) }
        let gate = Gate()
        let running = try await bench.startCharge(until: gate)
        bench.store.standStill()
        gate.open()
        try await eventually { bench.store.count(of: .complete) == 1 }
        #expect(try await bench.whileTimePasses { try await running.value } == 1)
        bench.store.heal()
        try await eventually { try await bench.otherProcess().charge() == 1 }
    }

    @Test("is marked as unstored, and stored all the same")
    func marked() async throws {
        let bench = Workbench { $0.completionRetryTime = .zero }
        let service = GuardedService(bench.idempotency)
        bench.store.breakDown(at: .complete)
        #expect(try await service.send(key: "k-1").head.headerFields[.idempotencyStatus] == "unstored")
        bench.store.heal()
        try await bench.whileTimePasses {
            try await eventually {
                let other = GuardedService(bench.otherProcess().idempotency)
                return try await other.send(key: "k-1").head.headerFields[.idempotencyStatus] == "hit"
            }
        }
    }

    @Test("is given up once another attempt has the key")
    func replaced() async throws {
        let bench = Workbench { $0.completionRetryTime = .zero }
        bench.store.breakDown(at: .complete)
        bench.store.breakDown(at: .renew)
        #expect(try await bench.charge() == 1)
        bench.clock.advance(by: .seconds(31))
        #expect(try await bench.otherProcess().charge() == 2)
        bench.store.heal()
        try await bench.whileTimePasses { try await eventually { try await bench.charge() == 2 } }
    }

    @Test("keeps its key from running under the rule to refuse, also where its process has died")
    func refusal() async throws {
        let bench = Workbench {
            $0.onAbandoned = .refuse
            $0.completionRetryTime = .zero
        }
        bench.store.breakDown(at: .complete)
        bench.store.breakDown(at: .renew)
        #expect(try await bench.charge() == 1)
        // Longer than keyTTL: what is unknown is not forgotten.
        bench.clock.advance(by: .seconds(48 * 60 * 60))
        #expect(await bench.problem { try await bench.otherProcess().charge() }?.kind == .outcomeUnknown)
    }

    @Test("becomes a tombstone if there is no room to keep it")
    func bounded() async throws {
        let bench = Workbench {
            $0.completionRetryTime = .zero
            $0.maxUnstoredBytes = 0
        }
        bench.store.breakDown(at: .complete)
        #expect(try await bench.charge() == 1)
        #expect(await bench.problem { try await bench.charge() }?.kind == .responseNotReplayable)
        bench.store.heal()
        try await bench.whileTimePasses {
            try await eventually {
                await bench.problem { try await bench.otherProcess().charge() }?.kind == .responseNotReplayable
            }
        }
        #expect(bench.ledger.count == 1)
    }

    @Test("is all that stays in memory of its operation, whose caller has gone")
    func letsGoOfTheResult() async throws {
        let bench = Workbench {
            $0.completionRetryTime = .zero
            $0.maxUnstoredBytes = 0
        }
        bench.store.breakDown(at: .complete)
        let (made, gone) = (Ledger(), Ledger())
        let receipts = try await bench.idempotency.run("charge", key: "k-1") { _ in
            made.add()
            return [Receipt(gone)]
        }.count
        #expect(receipts == 1)
        try await eventually { gone.count == made.count }
        #expect(try bench.metrics.expectGauge("idempotency.unstored.pending").lastValue == 1)
    }

    @Test("is all that stays in memory of a response that was streamed")
    func letsGoOfTheResponse() async throws {
        let bench = Workbench {
            $0.completionRetryTime = .zero
            $0.maxUnstoredBytes = 0
        }
        bench.store.breakDown(at: .complete)
        let gone = Ledger()
        do {
            let parts = try await GuardedService(bench.idempotency).respond(key: "k-1") { _ in
                let receipt = Receipt(gone)
                return ResponseParts(
                    head: HTTPResponse(status: .ok),
                    body: .producer(length: nil) { write in
                        try await write(Array(receipt.text.utf8))
                        return nil
                    })
            }
            await #expect(throws: (any Error).self) { try await parts.sent() }
        }
        try await eventually { gone.count == 1 }
        #expect(try bench.metrics.expectGauge("idempotency.unstored.pending").lastValue == 1)
    }

    @Test(
        "does not stay in memory because a call to the store hangs, if there is no room for it",
        arguments: [true, false])
    func interrupted(hasRoom: Bool) async throws {
        let bench = Workbench {
            $0.completionRetryTime = .zero
            $0.lease = .seconds(3_600)
            if !hasRoom { $0.maxUnstoredBytes = 0 }
        }
        // Longer than a test takes, unless the call is cancelled.
        bench.store.inject(.isDelayed(.seconds(1_000_000)), at: .complete)
        let charging = Task { try await bench.charge() }
        try await eventually { bench.store.count(of: .complete) == 1 }
        #expect(try await bench.whileTimePasses { try await charging.value } == 1)
        if hasRoom {
            // The call goes on: its outcome is counted.
            try await bench.whileTimePasses { try await eventually { bench.clock.now.offset > .seconds(10) } }
            #expect(bench.store.count(of: .complete) == 1)
            #expect(try await bench.charge() == 1)
        } else {
            try await bench.whileTimePasses {
                try await eventually { bench.memory.statistics().count(of: .tombstone) == 1 }
            }
            #expect(await bench.problem { try await bench.charge() }?.kind == .responseNotReplayable)
        }
        #expect(bench.ledger.count == 1)
    }

    @Test("does not take more room in all while the layer only observes, and the store hangs")
    func observed() async throws {
        let bench = Workbench {
            $0.mode = .observe
            $0.maxUnstoredBytes = 1_000
        }
        let arrival = Gate()
        for _ in 0..<3 { bench.store.inject(.waits { await arrival.pass() }, at: .complete) }
        let text = String(repeating: "7", count: 600)
        for key in ["k-1", "k-2", "k-3"] {
            #expect(try await bench.idempotency.run("charge", key: key) { _ in text } == text)
        }
        try await eventually { arrival.arrivals == 3 }
        arrival.open()
        try await eventually {
            let statistics = bench.memory.statistics()
            return statistics.count(of: .completed) == 1 && statistics.count(of: .tombstone) == 2
        }
        // The room is free again.
        #expect(try await bench.idempotency.run("charge", key: "k-4") { _ in text } == text)
        try await eventually { bench.memory.statistics().count(of: .completed) == 2 }
    }

    @Test("is waited for at shutdown, for a time")
    func drains() async throws {
        let bench = Workbench { $0.completionRetryTime = .zero }
        bench.store.breakDown(at: .complete)
        #expect(try await bench.charge() == 1)
        let drained = Task { try await bench.whileTimePasses { await bench.idempotency.drain(atMost: .seconds(600)) } }
        bench.store.heal()
        try await drained.value
        #expect(bench.memory.statistics().count(of: .completed) == 1)

        bench.store.breakDown(at: .complete)
        #expect(try await bench.charge("k-2") == 2)
        try await bench.whileTimePasses { await bench.idempotency.drain(atMost: .seconds(1)) }
        #expect(bench.memory.statistics().count(of: .completed) == 1)
    }

    @Test("that frees its key does not run again before the store has been told, or the lease is over")
    func releasedLate() async throws {
        let bench = Workbench {
            $0.replay = .retryServerErrors
            $0.completionRetryTime = .zero
            $0.onAbandoned = .refuse
        }
        bench.store.breakDown(at: .release)
        await #expect(throws: CardDeclined.self) {
            try await bench.idempotency.run("charge", key: "k-1") { _ in throw CardDeclined() }
        }
        #expect(await bench.problem { try await bench.charge() }?.kind == .requestInProgress)
        bench.store.heal()
        try await bench.whileTimePasses {
            try await eventually { await bench.problem { try await bench.charge() } == nil }
        }
        #expect(bench.ledger.count == 1)
    }
}

/// Something large that an operation returns.
private final class Receipt: Codable, Sendable {
    private enum CodingKeys: CodingKey {
        case text
    }

    let text: String
    private let gone: Ledger?

    init(_ gone: Ledger) {
        self.text = "receipt"
        self.gone = gone
    }

    init(from decoder: any Decoder) throws {
        self.text = try decoder.container(keyedBy: CodingKeys.self).decode(String.self, forKey: .text)
        self.gone = nil
    }

    deinit {
        self.gone?.add()
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.text, forKey: .text)
    }
}
