import Idemptx

extension String: SettingValue {
    static var expectation: String { "a text" }

    init?(setting text: String) {
        self = text
    }
}

/// A TCP port; 0 lets the system choose one.
struct Port: SettingValue {
    static let expectation = "a port, a number from 0 to 65535"

    let number: Int

    init?(setting text: String) {
        guard let number = UInt16(text) else { return nil }
        self.number = Int(number)
    }

    static let demo = Port(8080)

    private init(_ number: UInt16) {
        self.number = Int(number)
    }
}

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

/// A duration that is longer than nothing.
struct PositiveDuration: SettingValue {
    static let expectation = "a duration above zero, such as 500ms, 30s, 15m, 24h or 7d"

    let duration: Duration

    init?(setting text: String) {
        guard let duration = Duration(setting: text), duration > .zero else { return nil }
        self.duration = duration
    }

    init(_ duration: Duration) {
        self.duration = duration
    }
}

/// A lease, which has to leave time for a renewal.
struct LeaseDuration: SettingValue {
    static let expectation = "a lease of at least 10ms, such as 500ms or 30s"

    let duration: Duration

    init?(setting text: String) {
        guard let duration = Duration(setting: text), duration >= .milliseconds(10) else { return nil }
        self.duration = duration
    }

    init(_ duration: Duration) {
        self.duration = duration
    }
}

extension SettingValue where Self: RawRepresentable & CaseIterable, RawValue == String {
    static var expectation: String {
        "one of " + Self.allCases.map(\.rawValue).joined(separator: ", ")
    }

    init?(setting text: String) {
        self.init(rawValue: text)
    }
}

extension AbandonedRule: SettingValue {}
