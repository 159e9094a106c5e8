public import CoreMetrics
import Synchronization

/// Counts what it is told by swift-metrics, and shows it in the text format of Prometheus (version 0.0.4).
///
/// ```swift
/// let registry = PrometheusRegistry()
/// MetricsSystem.bootstrap(registry)  // Before anything makes its metrics.
/// let admin = AdminServer(port: 9091, store: store, metrics: registry, logger: logger)
/// ```
///
/// Dots in names become underscores; counters end with `_total`, timers with `_seconds`. Timers and recorders become
/// histograms, whose buckets are fixed, so that telling costs the same whatever has been told before. What has once been
/// told of is shown from then on: it is for instruments whose dimensions have few values, as all in this package do.
public final class PrometheusRegistry: MetricsFactory {
    private struct Family {
        let type: String
        var series: [PrometheusLabels: any PrometheusSeries]
    }

    /// The value of `Content-Type` for ``text``.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private let families = Mutex<[String: Family]>([:])

    /// Creates a registry without instruments.
    public init() {}

    /// The present values of all instruments.
    public var text: String {
        let families = self.families.withLock { $0 }
        var text = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            if let help = PrometheusHelp.texts[name] { text += "# HELP \(name) \(help)\n" }
            text += "# TYPE \(name) \(family.type)\n"
            for (labels, series) in family.series.sorted(by: { $0.key.text < $1.key.text }) {
                for sample in series.samples { text += sample.line(name: name, labels: labels) }
            }
        }
        return text
    }

    /// Makes a counter, or finds the one of this name and dimensions.
    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        self.series(label, "_total", dimensions, PrometheusCounter())
    }

    /// Makes a counter, or finds the one of this name and dimensions.
    public func makeFloatingPointCounter(
        label: String,
        dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        self.series(label, "_total", dimensions, PrometheusCounter())
    }

    /// Makes a gauge, or finds the one of this name and dimensions.
    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        self.series(label, "", dimensions, PrometheusGauge())
    }

    /// Makes a histogram, or a gauge if values are not to be aggregated, or finds the one of this name and dimensions.
    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        guard aggregate else { return self.series(label, "", dimensions, PrometheusGauge()) }
        return self.series(label, "", dimensions, PrometheusHistogram())
    }

    /// Makes a histogram of seconds, or finds the one of this name and dimensions.
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        self.series(label, "_seconds", dimensions, PrometheusHistogram())
    }

    // What has been counted stays, as a counter that goes away would look like one that starts anew.

    /// Changes nothing.
    public func destroyCounter(_ handler: any CounterHandler) {}

    /// Changes nothing.
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}

    /// Changes nothing.
    public func destroyMeter(_ handler: any MeterHandler) {}

    /// Changes nothing.
    public func destroyRecorder(_ handler: any RecorderHandler) {}

    /// Changes nothing.
    public func destroyTimer(_ handler: any TimerHandler) {}

    /// Finds an instrument, or takes `new` in.
    ///
    /// - Returns: The instrument; `new`, without showing it, if the name is that of instruments of another type.
    private func series<Series: PrometheusSeries>(
        _ label: String,
        _ suffix: String,
        _ dimensions: [(String, String)],
        _ new: Series
    ) -> Series {
        let name = PrometheusLabels.name(label) + suffix
        let labels = PrometheusLabels(dimensions)
        return self.families.withLock { families in
            var family = families[name] ?? Family(type: Series.type, series: [:])
            guard family.type == Series.type else { return new }
            if let known = family.series[labels] as? Series { return known }
            family.series[labels] = new
            families[name] = family
            return new
        }
    }
}
