import InMemoryLogging
import InMemoryTracing
import Logging
import MetricsTestKit
import Tracing

/// What an engine tells metrics, traces and logs.
struct Observed: Sendable {
    let metrics: TestMetrics
    let tracer = InMemoryTracer()
    let log = InMemoryLogHandler()

    init(_ bench: Workbench) {
        self.metrics = bench.metrics
    }

    /// Runs `body`, with all levels of the log switched on.
    func during<Value: Sendable>(
        metadata: Logger.Metadata = [:],
        _ body: () async throws -> Value
    ) async throws -> Value {
        var logger = Logger(label: "test") { _ in self.log }
        logger.logLevel = .trace
        for (key, value) in metadata { logger[metadataKey: key] = value }
        return try await withTracer(self.tracer) {
            try await withLogger(logger) { _ in try await body() }
        }
    }

    func count(_ label: String, _ dimensions: [(String, String)] = []) throws -> Int64 {
        try self.metrics.expectCounter(label, dimensions).totalValue
    }

    func requests(_ outcome: String, mode: String = "enforce") throws -> Int64 {
        try self.count("idempotency.requests", [("outcome", outcome), ("mode", mode)])
    }

    /// Everything that was told, as one text.
    var everything: String {
        var texts = self.log.entries.flatMap { entry in
            ["\(entry.message)", "\(entry.metadata)", entry.error.map { "\($0)" } ?? ""]
        }
        for metric in self.metrics.counters { texts.append("\(metric.label) \(metric.dimensions)") }
        for metric in self.metrics.timers { texts.append("\(metric.label) \(metric.dimensions)") }
        for metric in self.metrics.recorders { texts.append("\(metric.label) \(metric.dimensions)") }
        for span in self.tracer.finishedSpans {
            texts += [span.operationName, span.status?.message ?? "", "\(span.attributes)"]
            texts += span.errors.flatMap { ["\($0.error)", String(reflecting: $0.error), "\($0.attributes)"] }
            texts += span.events.map { "\($0.name) \($0.attributes)" }
        }
        return texts.joined(separator: "\n")
    }
}
