import CoreMetrics
import Synchronization

/// A value that only rises.
final class PrometheusCounter: PrometheusSeries, CounterHandler, FloatingPointCounterHandler {
    static let type = "counter"

    private let value = Mutex(0.0)

    var samples: [PrometheusSample] { [PrometheusSample(value: self.value.withLock { $0 })] }

    // Exact up to 2^53.
    func increment(by amount: Int64) { self.increment(by: Double(amount)) }

    func increment(by amount: Double) { self.value.withLock { $0 += amount } }

    func reset() { self.value.withLock { $0 = 0 } }
}
