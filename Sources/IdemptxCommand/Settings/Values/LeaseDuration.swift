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

    var shown: FileValue { self.duration.shown }
}
