import HTTPTypes
import Idemptx
import IdemptxTesting
import MetricsTestKit
import Synchronization
import TestSupport
import Testing

@Suite("A function that finds out what happened", .timeLimit(.minutes(1)))
struct RecoveryTests {
    private struct BankIsClosed: Error {}

    /// An attempt that fell silent, and another process that recovers.
    private func recovering(
        _ recover: @escaping @Sendable (UnknownOutcome) async throws -> Recovery
    ) async throws -> (Workbench, gate: Gate) {
        let bench = Workbench {
            $0.lease = .seconds(30)
            $0.onAbandoned = .recover(recover)
        }
        let gate = Gate()
        _ = try await bench.startCharge(until: gate)
        bench.store.breakDown(at: .renew)
        bench.store.breakDown(at: .complete)
        bench.clock.advance(by: .seconds(31))
        return (bench.otherProcess(), gate)
    }

    @Test("lets the operation run again, as the next attempt, and is told what is known")
    func rerun() async throws {
        let asked = Ledger()
        let (bench, gate) = try await self.recovering { unknown in
            asked.add()
            #expect(unknown.key == "k-1")
            #expect(unknown.attempt == 1)
            return .rerun
        }
        let attempt = try await bench.idempotency.run("charge", key: "k-1") { $0.attempt }
        #expect(attempt == 2)
        #expect(asked.count == 1)
        gate.open()
    }

    @Test("can say what happened, which is replayed from then on")
    func complete() async throws {
        let asked = Ledger()
        let (bench, gate) = try await self.recovering { _ in
            asked.add()
            return .complete(with: .response(StoredResponse(status: .ok, body: Array("1".utf8))))
        }
        for _ in 0..<2 { #expect(try await bench.charge() == 1) }
        #expect(asked.count == 1)
        #expect(bench.ledger.count == 1)
        gate.open()
    }

    @Test("that does not know, or fails, leaves the outcome unknown, and is asked again by the next request")
    func refuse() async throws {
        let asked = Ledger()
        let (bench, gate) = try await self.recovering { _ in
            if asked.add() == 1 { throw BankIsClosed() }
            return .refuse
        }
        for count in 1...3 {
            #expect(await bench.problem { try await bench.charge() }?.kind == .outcomeUnknown)
            #expect(asked.count == count)
        }
        #expect(bench.ledger.count == 1)
        gate.open()
    }

    @Test("is not asked twice at a time; others are told that it is in progress")
    func once() async throws {
        let asking = Gate()
        let (bench, gate) = try await self.recovering { _ in
            await asking.pass()
            return .rerun
        }
        let first = Task { try await bench.charge() }
        try await eventually { asking.arrivals == 1 }
        #expect(await bench.problem { try await bench.charge() }?.kind == .requestInProgress)
        asking.open()
        #expect(try await first.value == 2)
        gate.open()
    }

    @Test("lets nothing run if another attempt got the key while it was asked")
    func replaced() async throws {
        let asking = Gate()
        let (bench, gate) = try await self.recovering { _ in
            await asking.pass()
            return .rerun
        }
        let first = Task { await bench.problem { try await bench.charge() } }
        try await eventually { asking.arrivals == 1 }
        let claimed = try #require(bench.memory.records(in: .claimed, after: nil, limit: 2).records.first)
        _ = try await bench.memory.release(claimed.key, force: true, reason: "an operator knows better")
        let otherGate = Gate()
        let other = try await bench.otherProcess().startCharge(until: otherGate)

        bench.clock.advance(by: .seconds(11))
        try await eventually { try bench.metrics.expectCounter("idempotency.lease.losses").totalValue == 1 }
        asking.open()
        #expect(await first.value?.kind == .requestInProgress)
        #expect(bench.ledger.count == 2, "The first attempt, and the other process")
        otherGate.open()
        _ = try await other.value
        gate.open()
    }
}
