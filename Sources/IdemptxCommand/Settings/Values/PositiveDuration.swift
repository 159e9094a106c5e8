/// A duration that is longer than nothing.
struct PositiveDuration: SettingWrapper {
    static let expectation = "a duration above zero, such as 500ms, 30s, 15m, 24h or 7d"

    let content: Duration

    init?(setting text: String) {
        guard let duration = Duration(setting: text), duration > .zero else { return nil }
        self.content = duration
    }

    init(_ duration: Duration) {
        self.content = duration
    }

    var shown: FileValue { self.content.shown }
}
