import Benchmark
import BenchmarkSupport
import Crypto
import Foundation
import HTTPTypes
import Idemptx
import NIOCore

/// What is pure in Idemptx, next to the SHA-256 of the same bytes: only ratios between these figures mean anything.
let benchmarks: @Sendable () -> Void = {
    // A benchmark runs each closure a thousand times per measurement, so that the clock costs nothing.
    Benchmark.defaultConfiguration = .init(
        metrics: [.throughput, .wallClock], scalingFactor: .kilo, maxDuration: .milliseconds(700), maxIterations: 10_000
    )

    for sample in Sample.all {
        Benchmark("sha256 \(sample.name)") { benchmark in
            for _ in benchmark.scaledIterations { blackHole(SHA256.hash(data: sample.body)) }
        }
        Benchmark("fingerprint \(sample.name)") { benchmark in
            for _ in benchmark.scaledIterations { blackHole(Codecs.fingerprint(sample.head, body: sample.body)) }
        }
    }
    for sample in Sample.all where sample.isJSON {
        Benchmark("canonical \(sample.name)") { benchmark in
            for _ in benchmark.scaledIterations { blackHole(Codecs.canonicalJSON(sample.body)) }
        }
    }
    for size in [60, 1 << 10, 64 << 10] {
        benchmarkRecords(bodySize: size)
        benchmarkRESP(valueSize: size)
    }
}

private func benchmarkRecords(bodySize: Int) {
    let response = StoredResponse(
        status: .created, headerFields: [.contentType: "application/json; charset=utf-8", .location: "/orders/1"],
        body: Array(repeating: UInt8(ascii: "x"), count: bodySize))
    let record = Codecs.record(keeping: response)
    let encoded = record.encoded()
    Benchmark("record encode \(bodySize) B") { benchmark in
        for _ in benchmark.scaledIterations { blackHole(record.encoded()) }
    }
    Benchmark("record decode \(bodySize) B") { benchmark in
        for _ in benchmark.scaledIterations { blackHole(try? IdempotencyRecord(encoded: encoded)) }
    }
    Benchmark("sha256 record \(bodySize) B") { benchmark in
        for _ in benchmark.scaledIterations { blackHole(SHA256.hash(data: encoded)) }
    }
}

private func benchmarkRESP(valueSize: Int) {
    let value = Array(repeating: UInt8(ascii: "x"), count: valueSize)
    let reply = ByteBuffer(string: "$\(valueSize)\r\n\(String(decoding: value, as: UTF8.self))\r\n")
    Benchmark("resp encode \(valueSize) B") { benchmark in
        var buffer = ByteBuffer()
        for _ in benchmark.scaledIterations {
            buffer.clear()
            Codecs.encodeCommand(value, into: &buffer)
        }
        blackHole(buffer)
    }
    Benchmark("resp decode \(valueSize) B") { benchmark in
        for _ in benchmark.scaledIterations {
            var buffer = reply
            blackHole(try? Codecs.decodeReply(&buffer))
        }
    }
    Benchmark("sha256 resp \(valueSize) B") { benchmark in
        for _ in benchmark.scaledIterations { blackHole(SHA256.hash(data: value)) }
    }
}
