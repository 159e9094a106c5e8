import HTTPTypes
import Idemptx
import IdemptxTesting
import TestSupport
import Testing

@Suite("An answer that is recorded while it is sent")
struct StreamRecorderTests {
    private func recorder(
        _ bench: Workbench,
        key: String = "k-1",
        status: HTTPResponse.Status = .ok
    ) async throws -> StreamRecorder {
        let execution = try await GuardedService(bench.idempotency).execution(key: key)
        let (head, recorder) = execution.stream(
            HTTPResponse(status: status, headerFields: [.contentType: "text/event-stream", .location: "/events/1"]))
        #expect(head.headerFields[.idempotencyStatus] == "new")
        return try #require(recorder)
    }

    private func replay(_ bench: Workbench) async throws -> HTTPAnswer {
        try await GuardedService(bench.idempotency).send(key: "k-1") { _ in
            HTTPAnswer(head: HTTPResponse(status: .notImplemented))
        }
    }

    @Test("is replayed whole")
    func whole() async throws {
        let bench = Workbench()
        let recorder = try await self.recorder(bench)
        for byte in UInt8.min...UInt8.max { await recorder.append([byte]) }
        #expect(try await self.replay(bench).head.status == .conflict)
        try await recorder.finish()
        let replay = try await self.replay(bench)
        #expect(replay.head.status == .ok)
        #expect(replay.body == Array(UInt8.min...UInt8.max))
    }

    @Test("becomes a tombstone at the moment that it grows too large")
    func tooLarge() async throws {
        let bench = Workbench { $0.maxResponseBody = 10 }
        let recorder = try await self.recorder(bench)
        await recorder.append(Array(repeating: 0, count: 10))
        #expect(bench.store.count(of: .complete) == 0)
        await recorder.append([0])
        #expect(bench.store.count(of: .complete) == 1)
        await recorder.append(Array(repeating: 0, count: 1_000))
        try await recorder.finish()
        let replay = try await self.replay(bench)
        #expect(replay.head.status == .conflict)
        #expect(String(decoding: replay.body, as: UTF8.self).contains(#""original_status":200"#))
        #expect(bench.store.count(of: .complete) == 1)
    }

    @Test("that grew too large while the store was away keeps its lease, and is stored in the end")
    func tooLargeWithoutStore() async throws {
        let bench = Workbench {
            $0.maxResponseBody = 10
            $0.completionRetryTime = .zero
        }
        let recorder = try await self.recorder(bench)
        bench.store.breakDown(at: .complete)
        #expect(await recorder.append(Array(repeating: 0, count: 11)))
        bench.store.heal()
        for renewals in 1...6 {
            try await eventually {
                bench.clock.advance(by: .milliseconds(100))
                return bench.store.count(of: .renew) >= renewals
            }
        }
        #expect(try await self.replay(bench).head.status == .conflict)
        try await recorder.finish()
        #expect(String(decoding: try await self.replay(bench).body, as: UTF8.self).contains(#""original_status":200"#))
    }

    @Test("tells when there is nothing left to record")
    func settled() async throws {
        let recorder = try await self.recorder(Workbench { $0.maxResponseBody = 10 })
        #expect(await recorder.append([1]))
        #expect(await !recorder.append(Array(repeating: 0, count: 10)))
        #expect(await !recorder.append([1]))
    }

    @Test("is never cut while the layer only observes")
    func observed() async throws {
        let bench = Workbench { $0.mode = .observe }
        bench.store.breakDown(at: .complete)
        let execution = try await GuardedService(bench.idempotency).execution(key: "k-1")
        let (head, recorder) = execution.stream(HTTPResponse(status: .ok))
        #expect(head.headerFields.isEmpty)
        await recorder?.append([1])
        try await recorder?.finish()
    }

    @Test("gives its key back only when it is over, however large it is")
    func released() async throws {
        let bench = Workbench { $0.maxResponseBody = 10 }
        let recorder = try await self.recorder(bench, status: .serviceUnavailable)
        await recorder.append(Array(repeating: 0, count: 11))
        #expect(try await self.replay(bench).head.status == .conflict)
        try await recorder.finish()
        #expect(try await self.replay(bench).head.status == .notImplemented)
    }

    @Test("that breaks off leaves a tombstone with 502")
    func brokenOff() async throws {
        let bench = Workbench()
        let recorder = try await self.recorder(bench)
        await recorder.append([1])
        await recorder.fail()
        let replay = try await self.replay(bench)
        #expect(String(decoding: replay.body, as: UTF8.self).contains(#""original_status":502"#))
        await #expect(throws: StreamRecorder.NotStored.self) { try await recorder.finish() }
    }

    @Test("that breaks off frees its key if the operation said that it had no effect")
    func brokenOffWithoutEffect() async throws {
        let bench = Workbench()
        let execution = try await GuardedService(bench.idempotency).execution(key: "k-1")
        execution.context.release()
        let recorder = try #require(execution.stream(HTTPResponse(status: .ok)).recorder)
        await recorder.fail()
        #expect(try await self.replay(bench).head.status == .notImplemented)
    }

    @Test("may not end as if whole when it could not be stored", arguments: [false, true])
    func notStored(isTooLarge: Bool) async throws {
        let bench = Workbench {
            $0.completionRetryTime = .zero
            $0.maxResponseBody = 10
        }
        bench.store.breakDown(at: .complete)
        let recorder = try await self.recorder(bench)
        await recorder.append(Array(repeating: 0, count: isTooLarge ? 11 : 1))
        await #expect(throws: StreamRecorder.NotStored.self) { try await recorder.finish() }
    }

    @Test("keeps its lease while it is sent")
    func lease() async throws {
        let bench = Workbench()
        let recorder = try await self.recorder(bench)
        for renewals in 1...6 {
            await bench.clock.waitForSleepers()
            bench.clock.advance(by: .seconds(10))
            try await eventually { bench.store.count(of: .renew) == renewals }
        }
        try await recorder.finish()
        #expect(try await self.replay(bench).head.status == .ok)
    }

    @Test("is made in the context of its operation")
    func context() async throws {
        let recorder = try await self.recorder(Workbench())
        let attempt = await recorder.withContext { IdempotencyContext.current?.attempt }
        #expect(attempt == 1)
    }
}
