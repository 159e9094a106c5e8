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

    var shown: FileValue { self.duration.shown }
}
