/// A line of the text format.
struct PrometheusSample {
    /// What follows the name.
    var suffix = ""
    /// The upper bound of a bucket.
    var bound: Double?
    let value: Double

    func line(name: String, labels: PrometheusLabels) -> String {
        let bound = self.bound.map { "le=\"\(Self.text($0))\"" }
        let labels = [labels.text, bound ?? ""].filter { !$0.isEmpty }.joined(separator: ",")
        return "\(name)\(self.suffix)\(labels.isEmpty ? "" : "{\(labels)}") \(Self.text(self.value))\n"
    }

    private static func text(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        return Int(exactly: value).map(String.init) ?? "\(value)"
    }
}
