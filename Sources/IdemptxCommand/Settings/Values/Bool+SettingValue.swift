extension Bool: SettingValue {
    static var expectation: String { "true or false" }

    init?(setting text: String) {
        self.init(text)
    }

    var shown: FileValue { .flag(self) }
}
