/// A lease, which has to leave time for a renewal.
struct LeaseDuration: SettingWrapper {
    static let expectation = "a lease of at least 10ms, such as 500ms or 30s"

    let content: Duration

    init?(setting text: String) {
        guard let duration = Duration(setting: text), duration >= .milliseconds(10) else { return nil }
        self.content = duration
    }

    init(_ duration: Duration) {
        self.content = duration
    }

    var shown: FileValue { self.content.shown }
}
