import CoreMetrics
import HTTPTestSupport
import Idemptx
import IdemptxProxy
import IdemptxTesting
import Metrics
import NIOCore
import ServiceLifecycle
import TestSupport
import Testing

@Suite("The admin listener")
struct AdminTests {
    /// Runs a proxy and its admin listener.
    private static func with(
        store: any IdempotencyStore = MemoryStore(),
        script: @escaping TestUpstream.Script = TestUpstream.responding { _ in .response() },
        _ body: (TestProxy, _ adminPort: Int) async throws -> Void
    ) async throws {
        let registry = PrometheusRegistry()
        try await withMetricsFactory(registry) {
            try await TestProxy.with(store: store, script: script) { proxy async throws in
                let (ports, continuation) = AsyncStream.makeStream(of: Int?.self)
                let admin = AdminServer(port: 0, store: store, metrics: registry, logger: .silent) {
                    continuation.yield($0)
                }
                let group = ServiceGroup(services: [admin], logger: .silent)
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    tasks.addTask { try await group.run() }
                    let port = try #require(await ports.first { _ in true } ?? nil)
                    try await body(proxy, port)
                    await group.triggerGracefulShutdown()
                }
            }
        }
    }

    private static func get(_ path: String, port: Int) async throws -> WireMessage {
        try await RawConnection.open(port: port) { try await $0.send("GET \(path)") }
    }

    @Test("says that the process serves and the store takes writes")
    func healthy() async throws {
        try await Self.with { _, port async throws in
            #expect(try await Self.get("/healthz", port: port).status == 200)
            #expect(try await Self.get("/readyz", port: port).status == 200)
            #expect(try await Self.get("/elsewhere", port: port).status == 404)
        }
    }

    @Test("replies to HEAD as to GET, without a body", arguments: ["/healthz", "/readyz", "/metrics"])
    func head(path: String) async throws {
        try await Self.with { _, port async throws in
            let response = try await RawConnection.open(port: port) { connection in
                try await connection.write("HEAD \(path) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                return try await connection.readToEnd()
            }
            #expect(response.hasPrefix("HTTP/1.1 200 "))
            #expect(response.hasSuffix("\r\n\r\n"))
        }
    }

    @Test("says that the store takes no writes, and that it does again", arguments: [FaultyStore.Call.claim, .release])
    func notReady(call: FaultyStore.Call) async throws {
        let store = FaultyStore(MemoryStore())
        try await Self.with(store: store) { _, port async throws in
            store.breakDown(at: call)
            #expect(try await Self.get("/readyz", port: port).status == 503)
            #expect(try await Self.get("/healthz", port: port).status == 200)
            store.heal()
            #expect(try await Self.get("/readyz", port: port).status == 200)
        }
    }

    @Test("says in time that the store keeps silent")
    func silentStore() async throws {
        let (store, gate) = (FaultyStore(MemoryStore()), Gate())
        try await Self.with(store: store) { _, port async throws in
            store.inject(.waits { await gate.pass() }, at: .release)
            #expect(try await Self.get("/readyz", port: port).status == 503)
            // It is not asked again before it has replied.
            #expect(try await Self.get("/readyz", port: port).status == 503)
            #expect(store.count(of: .release) == 1)
            gate.open()
            try await eventually { try await Self.get("/readyz", port: port).status == 200 }
        }
    }

    @Test("shows what has happened, in the text format of Prometheus")
    func metrics() async throws {
        let gate = Gate()
        let script = TestUpstream.responding { request in
            if request.text.contains("9") { await gate.pass() }
            return .response()
        }
        try await Self.with(script: script) { proxy, port in
            for amount in [5, 5, 5, 6] { _ = try await proxy.pay(amount: amount) }
            _ = try await proxy.pay("not valid")
            async let running = proxy.pay("k-9", amount: 9)
            try await eventually { gate.arrivals == 1 }
            let response = try await Self.get("/metrics", port: port)
            #expect(response["Content-Type"] == [PrometheusRegistry.contentType])
            let metrics = try PrometheusText(response.text)
            let requests = "idempotency_requests_total"
            #expect(metrics[requests, ["outcome": "executed", "mode": "enforce"]] == 2)
            #expect(metrics[requests, ["outcome": "replayed", "mode": "enforce"]] == 2)
            #expect(metrics[requests, ["outcome": "mismatch", "mode": "enforce"]] == 1)
            #expect(metrics[requests, ["outcome": "rejected", "mode": "enforce"]] == 1)
            #expect(metrics["idempotency_running", [:]] == 1)
            #expect(metrics.types["idempotency_running"] == "gauge")
            #expect(metrics["idempotency_unknown_outcomes", [:]] == 0)
            #expect(metrics.types["idempotency_store_duration_seconds"] == "histogram")
            #expect(metrics["idempotency_store_duration_seconds_count", ["operation": "claim"]] == 5)
            #expect(metrics["proxy_responses_total", ["status": "2xx"]] == 3)
            #expect(metrics["proxy_responses_total", ["status": "4xx"]] == 2)
            #expect(metrics["proxy_upstream_duration_seconds_count", [:]] == 1)
            for name in metrics.types.keys { #expect(metrics.helpTexts[name]?.isEmpty == false, "\(name)") }
            gate.open()
            _ = try await running
            let later = try PrometheusText(try await Self.get("/metrics", port: port).text)
            #expect(later["idempotency_running", [:]] == 0)
        }
    }
}

@Suite("The registry of metrics")
struct PrometheusRegistryTests {
    @Test("shows every kind of instrument")
    func kinds() throws {
        let registry = PrometheusRegistry()
        registry.makeCounter(label: "a.b-c", dimensions: [("z", "1"), ("a.b", "x\"\\\ny")]).increment(by: 3)
        registry.makeFloatingPointCounter(label: "f", dimensions: []).increment(by: 0.5)
        registry.makeMeter(label: "m", dimensions: []).set(Int64(-2))
        registry.makeRecorder(label: "g", dimensions: [], aggregate: false).record(1.5)
        let recorder = registry.makeRecorder(label: "r", dimensions: [], aggregate: true)
        for value in [0.0001, 0.3, 1_000] { recorder.record(value) }
        registry.makeTimer(label: "9t", dimensions: []).recordNanoseconds(20_000_000)
        let metrics = try PrometheusText(registry.text)
        #expect(metrics["a_b_c_total", ["a_b": "x\"\\\ny", "z": "1"]] == 3)
        #expect(metrics["f_total", [:]] == 0.5)
        #expect(metrics["m", [:]] == -2)
        #expect(metrics["g", [:]] == 1.5)
        #expect(metrics["r_count", [:]] == 3)
        #expect(metrics["r_bucket", ["le": "0.0001"]] == 1)
        #expect(metrics["r_bucket", ["le": "0.5"]] == 2)
        #expect(metrics["r_bucket", ["le": "60"]] == 2)
        #expect(metrics["r_bucket", ["le": "+Inf"]] == 3)
        #expect(metrics["_9t_seconds_bucket", ["le": "0.01"]] == 0)
        #expect(metrics["_9t_seconds_bucket", ["le": "0.025"]] == 1)
        #expect(metrics["_9t_seconds_sum", [:]] == 0.02)
    }

    /// To Swift, a quote that a combining mark follows is another character.
    @Test("escapes a quote whatever follows it")
    func combiningMark() {
        let registry = PrometheusRegistry()
        registry.makeCounter(label: "a", dimensions: [("x", "\"\u{301}")]).increment(by: 1)
        #expect(registry.text.utf8.contains("a_total{x=\"\\\"\u{301}\"} 1".utf8))
    }

    @Test("finds an instrument again by its name and dimensions, in any order")
    func identity() throws {
        let registry = PrometheusRegistry()
        registry.makeCounter(label: "a", dimensions: [("x", "1"), ("y", "2")]).increment(by: 1)
        registry.makeCounter(label: "a", dimensions: [("y", "2"), ("x", "1")]).increment(by: 1)
        registry.makeCounter(label: "a", dimensions: [("x", "2"), ("y", "2")]).increment(by: 5)
        // Of one name there is one type.
        registry.makeMeter(label: "a_total", dimensions: []).set(Int64(9))
        let metrics = try PrometheusText(registry.text)
        #expect(metrics["a_total", ["x": "1", "y": "2"]] == 2)
        #expect(metrics["a_total", ["x": "2", "y": "2"]] == 5)
        #expect(metrics["a_total", [:]] == nil)
    }
}
