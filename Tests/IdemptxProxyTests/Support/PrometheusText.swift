/// The text format of Prometheus, version 0.0.4, read as strictly as it is described.
struct PrometheusText {
    struct Malformed: Error {
        let line: String
    }

    private struct Series: Hashable {
        let name: String
        let labels: [String: String]
    }

    private(set) var types: [String: String] = [:]
    private(set) var helpTexts: [String: String] = [:]
    private var samples: [Series: Double] = [:]

    subscript(name: String, labels: [String: String]) -> Double? {
        self.samples[Series(name: name, labels: labels)]
    }

    init(_ text: String) throws {
        guard text.isEmpty || text.hasSuffix("\n") else { throw Malformed(line: text) }
        var family = ""
        for line in text.split(separator: "\n") {
            if let match = try /# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)/.wholeMatch(in: line) {
                self.helpTexts[String(match.1)] = String(match.2)
                continue
            }
            if let match = try /# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)/.wholeMatch(in: line) {
                family = String(match.1)
                guard self.types.updateValue(String(match.2), forKey: family) == nil else {
                    throw Malformed(line: String(line))
                }
                continue
            }
            try self.read(line, of: family)
        }
        try self.checkHistograms()
    }

    private mutating func read(_ line: Substring, of family: String) throws {
        let sample = /([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([-+0-9.eE]+|NaN|[-+]Inf)/
        guard let match = try sample.wholeMatch(in: line) else { throw Malformed(line: String(line)) }
        let suffixes = self.types[family] == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
        var labels: [String: String] = [:]
        var rest = match.2 ?? ""
        while !rest.isEmpty {
            guard let label = try /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/.prefixMatch(in: rest)
            else {
                throw Malformed(line: String(line))
            }
            let value = label.2.replacing("\\\\", with: "\u{1}").replacing("\\\"", with: "\"")
                .replacing("\\n", with: "\n").replacing("\u{1}", with: "\\")
            labels[String(label.1)] = String(value)
            rest = rest[label.range.upperBound...]
        }
        let series = Series(name: String(match.1), labels: labels)
        let isOfFamily = suffixes.contains { family + $0 == series.name }
        let value = Double(match.3.replacing("Inf", with: "infinity"))
        guard isOfFamily, let value, self.samples.updateValue(value, forKey: series) == nil else {
            throw Malformed(line: String(line))
        }
    }

    /// Buckets rise, and the last one holds all.
    private func checkHistograms() throws {
        for (name, _) in self.types where self.types[name] == "histogram" {
            for (count, total) in self.samples where count.name == name + "_count" {
                let buckets = self.samples.filter { series, _ in
                    series.name == name + "_bucket" && series.labels.filter { $0.key != "le" } == count.labels
                }
                let rising = buckets.map { (bound: $0.key.labels["le"] ?? "", value: $0.value) }
                    .map { (bound: $0.bound == "+Inf" ? .infinity : Double($0.bound) ?? .nan, value: $0.value) }
                    .sorted { $0.bound < $1.bound }
                let isRising = zip(rising, rising.dropFirst()).allSatisfy { $0.value <= $1.value }
                guard isRising, rising.last?.bound == .infinity, rising.last?.value == total else {
                    throw Malformed(line: name)
                }
            }
        }
    }
}
