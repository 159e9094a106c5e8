import HTTPTypes
import Idemptx
import IdemptxTesting
import TestSupport
import Testing

@Suite("A response that is recorded while it is sent", .timeLimit(.minutes(1)))
struct StreamedResponseTests {
    /// A body that a test makes piece by piece.
    private struct Source: Sendable {
        private let stream: AsyncThrowingStream<[UInt8], any Error>
        private let continuation: AsyncThrowingStream<[UInt8], any Error>.Continuation

        init() {
            (self.stream, self.continuation) = AsyncThrowingStream.makeStream()
        }

        func write(_ chunk: [UInt8]) { self.continuation.yield(chunk) }

        func end(_ error: (any Error)? = nil) { self.continuation.finish(throwing: error) }

        func parts(_ status: HTTPResponse.Status = .ok) -> ResponseParts {
            let head = HTTPResponse(
                status: status, headerFields: [.contentType: "text/event-stream", .location: "/events/1"])
            return ResponseParts(
                head: head,
                body: .producer(length: nil) { write in
                    for try await chunk in self.stream { try await write(chunk) }
                    return nil
                })
        }
    }

    private func start(
        _ bench: Workbench,
        _ source: Source,
        status: HTTPResponse.Status = .ok,
        choosing disposition: Disposition? = nil
    ) async throws -> ResponseParts {
        let parts = try await GuardedService(bench.idempotency).respond(key: "k-1") { context in
            if let disposition { context?.choose(disposition) }
            return source.parts(status)
        }
        let isObserved = bench.idempotency.policy.mode == .observe
        #expect(parts.head.headerFields[.idempotencyStatus] == (isObserved ? nil : "new"))
        return parts
    }

    private func retry(_ bench: Workbench) async throws -> TestResponse {
        try await GuardedService(bench.idempotency).send(key: "k-1") { _ in
            TestResponse(head: HTTPResponse(status: .notImplemented))
        }
    }

    private func expectTombstone(_ bench: Workbench, of status: Int) async throws {
        try await eventually {
            String(decoding: try await self.retry(bench).body, as: UTF8.self).contains(#""original_status":\#(status)"#)
        }
    }

    @Test("is sent as it is made, and replayed whole")
    func whole() async throws {
        let bench = Workbench()
        let source = Source()
        let parts = try await self.start(bench, source)
        let bytes = Array(UInt8.min...UInt8.max)
        for byte in bytes { source.write([byte]) }
        #expect(try await self.retry(bench).head.status == .conflict)
        source.end()
        #expect(try await parts.sent() == bytes)
        let replay = try await self.retry(bench)
        #expect(replay.head.status == .ok)
        #expect(replay.body == bytes)
    }

    @Test(
        "is recorded to its end, and its lease ends, though its reader takes nothing or has left",
        arguments: [true, false])
    func withoutReader(isKept: Bool) async throws {
        let bench = Workbench()
        let source = Source()
        var parts: ResponseParts? = try await self.start(bench, source)
        if !isKept { parts = nil }
        for _ in 0..<100 { source.write(Array(repeating: 7, count: 1_000)) }
        source.end()
        try await eventually { try await self.retry(bench).body.count == 100_000 }
        withExtendedLifetime(parts) {}
    }

    @Test("becomes a tombstone at the moment that it grows too large, and is sent whole")
    func tooLarge() async throws {
        let bench = Workbench { $0.maxResponseBody = 10 }
        let source = Source()
        let parts = try await self.start(bench, source)
        source.write(Array(repeating: 0, count: 10))
        source.write([0])
        try await self.expectTombstone(bench, of: 200)
        for _ in 0..<9 { source.write(Array(repeating: 0, count: 1_000)) }
        source.end()
        #expect(try await parts.sent().count == 9_011)
        #expect(bench.store.count(of: .complete) == 1)
    }

    @Test("is not cut if it ends at the moment that its tombstone is stored")
    func endsWhenStored() async throws {
        for _ in 0..<200 {
            let bench = Workbench { $0.maxResponseBody = 10 }
            let source = Source()
            let parts = try await self.start(bench, source)
            source.write(Array(repeating: 0, count: 11))
            source.end()
            #expect(try await parts.sent().count == 11)
        }
    }

    @Test("that has no end and no reader stops once it is too large")
    func endless() async throws {
        let bench = Workbench { $0.maxResponseBody = 10 }
        let made = Ledger()
        let parts = try await GuardedService(bench.idempotency).respond(key: "k-1") { _ in
            ResponseParts(
                head: HTTPResponse(status: .ok),
                body: .producer(length: nil) { write in
                    while true {
                        made.add()
                        try await write([1, 2, 3])
                    }
                })
        }
        #expect(parts.head.status == .ok)
        try await self.expectTombstone(bench, of: 200)
        try await eventually { made.count <= 5 }
    }

    @Test("that grew too large while the store was away keeps its lease, and is stored in the end")
    func tooLargeWithoutStore() async throws {
        let bench = Workbench {
            $0.maxResponseBody = 10
            $0.completionRetryTime = .zero
        }
        let source = Source()
        bench.store.breakDown(at: .complete)
        let parts = try await self.start(bench, source)
        let sending = Task { try await parts.sent() }
        source.write(Array(repeating: 0, count: 11))
        try await eventually { bench.store.count(of: .complete) > 0 }
        for renewals in 1...6 {
            try await eventually {
                bench.clock.advance(by: .milliseconds(100))
                return bench.store.count(of: .renew) >= renewals
            }
        }
        bench.store.heal()
        try await bench.whileTimePasses {
            try await eventually { bench.memory.statistics().count(of: .tombstone) == 1 }
        }
        // What has been stored is known a moment later.
        for _ in 0..<1_000 { await Task.yield() }
        source.end()
        #expect(try await sending.value.count == 11)
    }

    @Test("is never cut while the layer only observes")
    func observed() async throws {
        let bench = Workbench { $0.mode = .observe }
        bench.store.breakDown(at: .complete)
        let source = Source()
        let parts = try await self.start(bench, source)
        source.write([1])
        source.end()
        #expect(try await parts.sent() == [1])
    }

    @Test("frees its key only when it is over, however large it is")
    func released() async throws {
        let bench = Workbench { $0.maxResponseBody = 10 }
        let source = Source()
        let parts = try await self.start(bench, source, status: .tooManyRequests)
        source.write(Array(repeating: 0, count: 11))
        #expect(try await self.retry(bench).head.status == .conflict)
        source.end()
        #expect(try await parts.sent().count == 11)
        #expect(try await self.retry(bench).head.status == .notImplemented)
    }

    // MARK: Readers that hold an operation up

    /// Starts an operation whose body has no end, and counts what it has made of it.
    private func startEndless(
        _ bench: Workbench,
        _ made: Ledger,
        status: HTTPResponse.Status = .ok,
        ended: Gate
    ) async throws -> ResponseParts {
        try await GuardedService(bench.idempotency).respond(key: "k-1") { _ in
            ResponseParts(
                head: HTTPResponse(status: status),
                body: .producer(length: nil) { write in
                    defer { ended.open() }
                    while true {
                        made.add()
                        try await write([1, 2, 3])
                    }
                })
        }
    }

    @Test(
        "beyond the limit is not held up for ever by a reader that takes nothing",
        arguments: [HTTPResponse.Status.ok, .tooManyRequests, .serviceUnavailable])
    func stalled(status: HTTPResponse.Status) async throws {
        let bench = Workbench { $0.maxResponseBody = 10 }
        let (made, ended, going) = (Ledger(), Gate(), Gate())
        let parts = try await self.startEndless(bench, made, status: status, ended: ended)
        // A connection that stays open, and takes no second piece.
        let sending = Task { try await parts.sent { await going.pass() } }
        try await eventually { going.arrivals == 1 && made.count >= 4 }
        try await bench.whileTimePasses { await ended.pass() }
        #expect(bench.clock.now.offset >= .seconds(60))
        // Nothing is held for it, and it does not take the body for whole.
        going.open()
        await #expect(throws: (any Error).self) { try await sending.value }
        switch status {
        case .ok: try await self.expectTombstone(bench, of: 200)
        default:
            // The store may have to be told again.
            try await bench.whileTimePasses {
                try await eventually { try await self.retry(bench).head.status == .notImplemented }
            }
        }
    }

    @Test("goes on beyond the limit as long as its reader takes something now and then, however slowly")
    func slow() async throws {
        let bench = Workbench { $0.maxResponseBody = 10 }
        let source = Source()
        let parts = try await self.start(bench, source)
        // One write, which a slow reader takes in three pieces, and another one.
        source.write(Array(repeating: 7, count: 128 << 10 + 1))
        source.write([7])
        source.end()
        let gates = (0..<4).map { _ in Gate() }
        let taken = Ledger()
        let sending = Task { try await parts.sent { await gates[min(taken.add(), 4) - 1].pass() } }
        for gate in gates {
            try await eventually { gate.arrivals == 1 }
            bench.clock.advance(by: .seconds(50))
            for _ in 0..<100 { await Task.yield() }
            gate.open()
        }
        #expect(try await sending.value.count == 128 << 10 + 2)
        #expect(taken.count == 4)
    }

    @Test("may take as long as it likes to be made")
    func slowProducer() async throws {
        let bench = Workbench { $0.maxResponseBody = 10 }
        let source = Source()
        let parts = try await self.start(bench, source)
        let sending = Task { try await parts.sent() }
        source.write(Array(repeating: 7, count: 11))
        try await self.expectTombstone(bench, of: 200)
        for _ in 0..<5 {
            bench.clock.advance(by: .seconds(600))
            for _ in 0..<100 { await Task.yield() }
            source.write([7])
        }
        source.end()
        #expect(try await sending.value.count == 16)
    }

    @Test("that frees its key, and has no end, is not made for nobody")
    func endlessRelease() async throws {
        let bench = Workbench { $0.maxResponseBody = 10 }
        let (made, ended) = (Ledger(), Gate())
        _ = try await self.startEndless(bench, made, status: .tooManyRequests, ended: ended)
        await ended.pass()
        try await eventually { try await self.retry(bench).head.status == .notImplemented }
    }

    @Test("ends with its reader, at once, while the layer only observes", arguments: [10, 1_000_000])
    func observedEndless(limit: Int) async throws {
        struct Left: Error {}
        let bench = Workbench {
            $0.mode = .observe
            $0.maxResponseBody = limit
        }
        let (made, ended) = (Ledger(), Gate())
        let parts = try await self.startEndless(bench, made, ended: ended)
        // At the pace of its reader: nothing is made before it is asked for.
        #expect(made.count == 0)
        await #expect(throws: Left.self) {
            try await parts.sent { if made.count == 5 { throw Left() } }
        }
        await ended.pass()
        #expect(made.count == 5)
        try await eventually { bench.memory.statistics().count(of: .tombstone) == 1 }
    }

    @Test("is recorded for later as it was read while the layer only observes")
    func observedWhole() async throws {
        let bench = Workbench { $0.mode = .observe }
        let source = Source()
        let parts = try await self.start(bench, source)
        source.write([1, 2])
        source.write([3])
        source.end()
        #expect(try await parts.sent() == [1, 2, 3])
        try await eventually { bench.memory.statistics().count(of: .completed) == 1 }
        bench.idempotency.policy.mode = .enforce
        #expect(try await self.retry(bench).body == [1, 2, 3])
    }

    private struct Broken: Error {}

    @Test("that breaks off leaves a tombstone with 502, and is cut")
    func brokenOff() async throws {
        let bench = Workbench()
        let source = Source()
        let parts = try await self.start(bench, source)
        source.write([1])
        source.end(Broken())
        await #expect(throws: Broken.self) { try await parts.sent() }
        try await self.expectTombstone(bench, of: 502)
    }

    @Test("that breaks off frees its key if the operation said that it had no effect")
    func brokenOffWithoutEffect() async throws {
        let bench = Workbench()
        let source = Source()
        let parts = try await self.start(bench, source, choosing: .release)
        source.end(Broken())
        await #expect(throws: Broken.self) { try await parts.sent() }
        #expect(try await self.retry(bench).head.status == .notImplemented)
    }

    @Test("may not end as if whole when it could not be stored in time", arguments: [1, 11])
    func notStored(size: Int) async throws {
        let bench = Workbench {
            $0.completionRetryTime = .zero
            $0.maxResponseBody = 10
        }
        bench.store.breakDown(at: .complete)
        let source = Source()
        let parts = try await self.start(bench, source)
        source.write(Array(repeating: 0, count: size))
        source.end()
        await #expect(throws: (any Error).self) { try await parts.sent() }
        // It is stored all the same, as soon as that is possible.
        bench.store.heal()
        try await bench.whileTimePasses {
            try await eventually {
                let statistics = bench.memory.statistics()
                return statistics.count(of: .tombstone) + statistics.count(of: .completed) == 1
            }
        }
    }

    @Test("keeps its lease while it is sent")
    func lease() async throws {
        let bench = Workbench()
        let source = Source()
        let parts = try await self.start(bench, source)
        for renewals in 1...6 {
            await bench.clock.waitForSleepers()
            bench.clock.advance(by: .seconds(10))
            try await eventually { bench.store.count(of: .renew) == renewals }
        }
        source.end()
        #expect(try await parts.sent() == [])
        #expect(try await self.retry(bench).head.status == .ok)
    }

    @Test("is made in the context of its operation")
    func context() async throws {
        let parts = try await GuardedService(Workbench().idempotency).respond(key: "k-1") { _ in
            ResponseParts(
                head: HTTPResponse(status: .ok),
                body: .producer(length: nil) { write in
                    try await write([UInt8(IdempotencyContext.current?.attempt ?? 0)])
                    return nil
                })
        }
        #expect(try await parts.sent() == [1])
    }
}
