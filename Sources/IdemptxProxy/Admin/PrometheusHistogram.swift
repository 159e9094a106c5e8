import CoreMetrics
import Synchronization

/// How many values were how large.
final class PrometheusHistogram: PrometheusSeries, TimerHandler, RecorderHandler {
    static let type = "histogram"

    /// From the store in memory to an upstream that takes its time, in seconds.
    private static let bounds = [
        0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]

    private struct State {
        /// The last one is for what is beyond all bounds.
        var counts = [Int](repeating: 0, count: PrometheusHistogram.bounds.count + 1)
        var sum = 0.0
    }

    private let state = Mutex(State())

    var samples: [PrometheusSample] {
        let state = self.state.withLock { $0 }
        var samples: [PrometheusSample] = []
        var total = 0
        for (bound, count) in zip(Self.bounds + [.infinity], state.counts) {
            total += count
            samples.append(PrometheusSample(suffix: "_bucket", bound: bound, value: Double(total)))
        }
        samples.append(PrometheusSample(suffix: "_sum", value: state.sum))
        samples.append(PrometheusSample(suffix: "_count", value: Double(total)))
        return samples
    }

    func recordNanoseconds(_ duration: Int64) { self.record(Double(duration) / 1_000_000_000) }

    func record(_ value: Int64) { self.record(Double(value)) }

    func record(_ value: Double) {
        let index = Self.bounds.firstIndex { value <= $0 } ?? Self.bounds.count
        self.state.withLock { state in
            state.counts[index] += 1
            state.sum += value
        }
    }
}
