import Foundation
import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import IdemptxSQLite
import IdemptxTesting
import Synchronization
import TestSupport
import Testing

/// Clients and a store that do what they should not, all at a time, over real connections.
@Suite("A server under attack", .serialized, .timeLimit(.minutes(5)))
struct AttackTests {
    enum StoreKind: CaseIterable {
        case memory
        case sqlite
    }

    // MARK: Everything at once

    @Test(
        "runs nothing twice, and has the same response for all, whatever its clients and its store do",
        arguments: StoreKind.allCases, UInt64(0)..<3)
    func chaos(kind: StoreKind, seed: UInt64) async throws {
        try await Self.withStore(kind) { store, records in
            let (faulty, runs) = (FaultyStore(store), Runs())
            let idempotency = Idempotency(
                store: faulty,
                policy: IdempotencyPolicy {
                    // Nothing may run again by itself: a second run is a fault, not the rule.
                    $0.onAbandoned = .refuse
                    $0.waitTimeout = .milliseconds(300)
                    $0.completionRetryTime = .milliseconds(100)
                    $0.maxResponseBody = 20_000
                })
            try await Self.app(idempotency, runs).test(.ahc()) { client in
                let port = try #require(client.port)
                let faults = Task { await Self.makeFaults(at: faulty, seed: seed) }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<160 {
                        var generator = SeededGenerator(seed: seed << 32 + UInt64(number))
                        let client = BadClient.allCases.randomElement(using: &generator) ?? .hangsUpAtOnce
                        let pause = Int.random(in: 0..<200, using: &generator)
                        group.addTask {
                            try await Task.sleep(for: .milliseconds(pause))
                            await client.send(key: "k-\(number % 40)", port: port)
                        }
                    }
                    try await group.waitForAll()
                }
                faults.cancel()
                await faults.value
                faulty.heal()
                try await self.expectOneRun(of: (0..<40).map { "k-\($0)" }, client, runs)
            }
            await idempotency.drain(atMost: .seconds(60))
            let statistics = try await records.statistics()
            #expect(statistics.count(of: .claimed) == 0, "No key is left in use")
            #expect(statistics.count(of: .unknown) == 0)
        }
    }

    /// Every key has run once by the end, and all of its responses are of that run.
    private func expectOneRun(of keys: [String], _ client: any TestClientProtocol, _ runs: Runs) async throws {
        for key in keys {
            var responses: [String] = []
            try await eventually("\(key) has an outcome") {
                let response = try await client.execute(uri: "/charges/\(key)", idempotencyKey: key, body: .order(5))
                let isTombstone = response.text.contains("response-not-replayable")
                if response.status == .created || isTombstone { responses.append(response.text) }
                return responses.count == 3
            }
            // The first may be that of the run itself, of which there is only a tombstone left.
            #expect(Set(responses.suffix(2)).count == 1)
            #expect(runs.count(of: key) == 1, "\(key)")
        }
        #expect(runs.mostAtATime == 1)
    }

    /// What the operations did.
    private final class Runs: Sendable {
        private struct State {
            var counts: [String: Int] = [:]
            var running: [String: Int] = [:]
            var mostAtATime = 0
        }

        private let state = Mutex(State())

        /// How many operations of one key ran beside each other.
        var mostAtATime: Int { self.state.withLock { $0.mostAtATime } }

        func count(of key: String) -> Int { self.state.withLock { $0.counts[key] ?? 0 } }

        func begin(_ key: String) {
            self.state.withLock { state in
                state.counts[key, default: 0] += 1
                state.running[key, default: 0] += 1
                state.mostAtATime = max(state.mostAtATime, state.running[key] ?? 0)
            }
        }

        func end(_ key: String) {
            self.state.withLock { $0.running[key, default: 0] -= 1 }
        }
    }

    /// Each key has a route whose response is whole, streamed, or too large to be kept.
    private static func app(_ idempotency: Idempotency, _ runs: Runs) -> some ApplicationProtocol {
        let router = Router()
        router.post(
            "charges/:key",
            use: idempotent(by: idempotency) { (request: Request, context: BasicRequestContext) -> Response in
                let key = try context.parameters.require("key")
                _ = try await request.decode(as: Order.self, context: context)
                let number = Int(key.dropFirst(2)) ?? 0
                let size = number % 3 == 0 ? 50_000 : 200
                let text = ByteBuffer(string: "charge of \(key): ")
                let padding = ByteBuffer(repeating: UInt8(ascii: "."), count: size)
                runs.begin(key)
                try await Task.sleep(for: .milliseconds(number % 7))
                guard number % 2 == 0 else {
                    runs.end(key)
                    return Response(status: .created, body: ResponseBody(contentsOf: [text, padding]))
                }
                return Response(
                    status: .created,
                    body: ResponseBody { writer in
                        defer { runs.end(key) }
                        try await writer.write(text)
                        try await Task.sleep(for: .milliseconds(number % 5))
                        try await writer.write(padding)
                        try await writer.finish(nil)
                    })
            })
        return Application(router: router)
    }

    /// Lets calls to a store fail, in all ways, until it is cancelled.
    private static func makeFaults(at store: FaultyStore, seed: UInt64) async {
        var generator = SeededGenerator(seed: seed)
        while !Task.isCancelled {
            let call = FaultyStore.Call.allCases.randomElement(using: &generator) ?? .claim
            let pause = Duration.milliseconds(Int.random(in: 1..<30, using: &generator))
            switch Int.random(in: 0..<7, using: &generator) {
            case 0: store.inject(.failsBefore, at: call)
            case 1: store.inject(.losesReply, at: call)
            case 2: store.inject(.losesRequest, at: call)
            case 3: store.inject(.isDelayed(pause), at: call)
            case 4: store.inject(.arrivesLate { try? await Task.sleep(for: pause) }, at: call)
            case 5: store.breakDown(.losesReply, at: call)
            default: store.standStill()
            }
            try? await Task.sleep(for: pause)
            if Bool.random(using: &generator) { store.heal() }
        }
    }

    /// What a client does instead of waiting for its response.
    private enum BadClient: CaseIterable {
        case waits
        case hangsUpWithinBody
        case hangsUpAtOnce
        case hangsUpAfterHead
        case readsNothing
        case sendsHalfAndEndsWriting

        func send(key: String, port: Int) async {
            let body = #"{"amount":5}"#
            // Connections break: that is what this is for.
            try? await RawConnection.open(port: port) { connection in
                switch self {
                case .waits:
                    try await connection.post("/charges/\(key)", key: key, body: body)
                    _ = try await connection.read(until: "\r\n\r\n")
                    try await Task.sleep(for: .milliseconds(20))
                case .hangsUpWithinBody, .sendsHalfAndEndsWriting:
                    try await connection.write(
                        "POST /charges/\(key) HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: \(key)\r\n"
                            + "Content-Length: 100\r\n\r\n{\"amount\"")
                    if self == .sendsHalfAndEndsWriting {
                        connection.endWriting()
                        _ = try await connection.readToEnd()
                    }
                case .hangsUpAtOnce:
                    try await connection.post("/charges/\(key)", key: key, body: body)
                    try await connection.reset()
                case .hangsUpAfterHead:
                    try await connection.post("/charges/\(key)", key: key, body: body)
                    _ = try await connection.read(until: "\r\n\r\n")
                    try await connection.reset()
                case .readsNothing:
                    try await connection.post("/charges/\(key)", key: key, body: body)
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
        }
    }

    // MARK: Numbers

    @Test("lets hundreds wait for one operation, also if half of them leave", arguments: StoreKind.allCases)
    func manyWaiters(kind: StoreKind) async throws {
        try await Self.withStore(kind) { store, _ in
            let (counted, gate, ledger) = (FaultyStore(store), Gate(), Ledger())
            let idempotency = Idempotency(
                store: counted, policy: IdempotencyPolicy { $0.waitTimeout = .seconds(600) })
            let router = Router()
            router.post(
                "charges",
                use: idempotent(by: idempotency) { (_: Request, _: BasicRequestContext) -> String in
                    let entry = ledger.add()
                    await gate.pass()
                    return "charge \(entry)"
                })
            try await Application(router: router).test(.ahc()) { client in
                let port = try #require(client.port)
                let (staying, leaving, sent) = (200, 200, Ledger())
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<(staying + leaving) {
                        let stays = number < staying
                        group.addTask {
                            try await RawConnection.open(port: port) { connection in
                                try await connection.post("/charges", key: "k-1", body: "")
                                sent.add()
                                guard stays else { return try await Task.sleep(for: .milliseconds(number % 50)) }
                                let text = try await connection.read(until: "charge 1")
                                #expect(text.contains("charge 1"))
                            }
                        }
                    }
                    try await eventually { sent.count == staying + leaving && gate.arrivals == 1 }
                    try await Task.sleep(for: .milliseconds(100))
                    gate.open()
                    try await group.waitForAll()
                }
                #expect(ledger.count == 1)
                // Nobody is left who would ask the store.
                await idempotency.drain(atMost: .seconds(60))
                try await eventually {
                    let claims = counted.count(of: .claim)
                    try await Task.sleep(for: .milliseconds(1_500))
                    return counted.count(of: .claim) == claims
                }
                // They share their polls.
                #expect(counted.count(of: .claim) < 3 * (staying + leaving))
            }
        }
    }

    // MARK: The end

    @Test("ends what runs before it shuts down, though its client has gone", arguments: StoreKind.allCases)
    func shutdown(kind: StoreKind) async throws {
        try await Self.withStore(kind) { store, records in
            let (gate, idempotency) = (Gate(), Idempotency(store: store))
            let router = Router()
            router.post(
                "charges",
                use: idempotent(by: idempotency) { (_: Request, _: BasicRequestContext) -> String in
                    await gate.pass()
                    return "charge"
                })
            try await Application(router: router).test(.ahc()) { client in
                try await RawConnection.open(port: #require(client.port)) { connection in
                    try await connection.post("/charges", key: "k-1", body: "")
                    try await eventually { gate.arrivals == 1 }
                    try await connection.reset()
                }
                let isDrained = Ledger()
                let drained = Task {
                    await idempotency.drain(atMost: .seconds(600))
                    isDrained.add()
                    return try await records.statistics().count(of: .completed)
                }
                try await Task.sleep(for: .milliseconds(100))
                #expect(isDrained.count == 0)
                gate.open()
                #expect(try await drained.value == 1)
            }
        }
    }

    @Test("is not kept from shutting down by a reader who takes nothing of a stream that is too large")
    func stalledReaderAtShutdown() async throws {
        let (made, idempotency) = (Ledger(), Idempotency(store: MemoryStore()))
        let router = Router()
        router.post(
            "events",
            use: idempotent(by: idempotency) { (_: Request, _: BasicRequestContext) -> Response in
                Response(
                    status: .ok,
                    body: ResponseBody { writer in
                        while true {
                            made.add()
                            try await writer.write(ByteBuffer(repeating: 7, count: 1 << 20))
                        }
                    })
            })
        try await Application(router: router).test(.ahc()) { client in
            try await RawConnection.open(port: #require(client.port)) { connection in
                try await connection.post("/events", key: "k-1", body: "")
                // A retry that comes first would be the one that reads on and on.
                try await eventually { made.count > 0 }
                try await eventually {
                    let retry = try await client.execute(uri: "/events", idempotencyKey: "k-1")
                    return try retry.problemKind == .responseNotReplayable
                }
                // It is made no faster than it is read.
                var last = -1
                try await eventually {
                    defer { last = made.count }
                    try await Task.sleep(for: .milliseconds(100))
                    return made.count == last
                }
                let isDrained = Gate()
                let drained = Task {
                    await idempotency.drain(atMost: .seconds(3_600))
                    isDrained.open()
                }
                await isDrained.pass()
                await drained.value
            }
        }
    }

    private static func withStore(
        _ kind: StoreKind,
        _ body: (any IdempotencyStore, any RecordCounting) async throws -> Void
    ) async throws {
        switch kind {
        case .memory:
            let store = MemoryStore()
            try await body(store, store)
        case .sqlite:
            let directory = FileManager.default.temporaryDirectory.appending(path: "idemptx-\(UUID())")
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
            defer { try? FileManager.default.removeItem(at: directory) }
            let store = try SQLiteStore(path: directory.appending(path: "store.sqlite").path)
            try await body(store, store)
        }
    }
}
