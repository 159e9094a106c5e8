extension String: SettingValue {
    static var expectation: String { "a text" }

    init?(setting text: String) {
        guard !text.isEmpty else { return nil }
        self = text
    }

    var shown: FileValue { .text(self) }
}
