import Idemptx

extension Duration: SettingValue {
    static var expectation: String { "a duration, such as 500ms, 30s, 15m, 24h or 7d" }

    /// Reads a whole number and its unit.
    init?(setting text: String) {
        let digits = text.prefix(while: \.isNumber)
        guard let count = Int64(digits), let unit = Self.millisecondsPerUnit[String(text.dropFirst(digits.count))]
        else { return nil }
        let (milliseconds, overflow) = count.multipliedReportingOverflow(by: unit)
        guard !overflow else { return nil }
        self = .milliseconds(milliseconds)
    }

    var shown: FileValue { .text(self.setting) }

    /// The text that reads as this duration, in the largest unit that needs no fraction; parts of a millisecond round up.
    var setting: String {
        let milliseconds = self.wholeMilliseconds
        let unit = Self.millisecondsPerUnit.filter { milliseconds.isMultiple(of: $0.value) }.max { $0.value < $1.value }
        return unit.map { milliseconds == 0 ? "0s" : "\(milliseconds / $0.value)\($0.key)" } ?? "\(milliseconds)ms"
    }

    private static let millisecondsPerUnit: [String: Int64] = [
        "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000,
    ]
}
